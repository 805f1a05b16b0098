#!/usr/bin/env bash
# Makes the pictures under src/assets of their sources: the card that is shown where a page of the book is shared, and the
# icon of a telephone's home screen. Run it after a change to a source, and commit both. It needs Chromium, and the font
# DejaVu Sans.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# picture SOURCE WIDTH HEIGHT EDGE NAME: a screenshot of a page that is the picture, with a white edge of so many pixels.
picture() {
  local page
  page=$(mktemp --suffix .html)
  printf '<!DOCTYPE html><body style="margin: 0"><img src="file://%s" style="display: block; box-sizing: border-box; width: %dpx; height: %dpx; padding: %dpx">' \
    "$PWD/$1" "$2" "$3" "$4" >"$page"
  chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=1 \
    --window-size="$2,$3" --screenshot="$PWD/src/assets/$5" "file://$page" 2>/dev/null
  rm "$page"
}

picture docs/card/card.svg 1200 630 0 card.png
picture theme/favicon.svg 180 180 20 touch-icon.png
