#!/usr/bin/env bash
# Three servers of the book over one log, behind nginx, until Ctrl-C.
#
#   examples/servers/run.sh
#
# It needs nats-server and nginx. README.md says what it starts, and what to try.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Debian has both where only an administrator's shell looks.
export PATH="$PATH:/usr/sbin"
nats_server=${NATS_SERVER:-nats-server} nginx=${NGINX:-nginx}
# Where they listen, all on 127.0.0.1.
proxy_port=${PROXY_PORT:-8080} nats_port=${NATS_PORT:-4222}
read -r -a server_ports <<<"${SERVER_PORTS:-4201 4202 4203}"

fail() {
  printf 'run.sh: %s\n' "$*" >&2
  exit 1
}

for program in "$nats_server" "$nginx"; do
  if ! command -v "$program" >/dev/null; then
    fail "$program is not installed. On Debian: sudo apt install nats-server nginx"
  fi
done
((${#server_ports[@]} == 3)) || fail "SERVER_PORTS is to be three ports"
for port in "$nats_port" "${server_ports[@]}" "$proxy_port"; do
  if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    fail "port $port is in use. PROXY_PORT, NATS_PORT and SERVER_PORTS choose others"
  fi
done

# The book, with the client of this engine. BOOK_SERVER is a program that is there already.
server=${BOOK_SERVER-}
if [[ -z $server ]]; then
  cargo build --package site --features nats
  server=${CARGO_TARGET_DIR:-target}/debug/site
fi

# All that is written lies here, and goes at the end.
directory=$(mktemp -d)
names=(nats-server "server 1" "server 2" "server 3" nginx)
pids=()

at_end() {
  trap - EXIT INT TERM
  # Each may be dead already.
  for pid in "${pids[@]-}"; do kill -TERM "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$directory"
}
trap at_end EXIT
trap 'exit 0' INT TERM

# The file beside this script, with the ports that were chosen.
site=$(<examples/servers/nginx.conf)
site=${site//127.0.0.1:8080/127.0.0.1:$proxy_port}
for number in 1 2 3; do
  site=${site//127.0.0.1:420$number/127.0.0.1:@${number}@}
done
for number in 1 2 3; do
  site=${site//@${number}@/${server_ports[number - 1]}}
done
cat >"$directory/nginx.conf" <<END
daemon off;
pid nginx.pid;
error_log stderr crit;
events {}
http {
access_log off;
client_body_temp_path temporary;
proxy_temp_path temporary;
fastcgi_temp_path temporary;
uwsgi_temp_path temporary;
scgi_temp_path temporary;
$site
}
END

# start NUMBER: the part of this number, with what it says in a log.
start() {
  local part=$1
  (
    case $part in
      0) exec "$nats_server" --addr 127.0.0.1 --port "$nats_port" --jetstream --store_dir "$directory/data" ;;
      4) exec "$nginx" -p "$directory" -c nginx.conf -e stderr ;;
      # Each publishes ticks of its own, so that none of them is missed.
      *) exec "$server" --port "${server_ports[part - 1]}" --push-port 0 --rate 0.7 --seed "$part" \
        --log "nats://127.0.0.1:$nats_port/events" ;;
    esac
  ) >>"$directory/$part.log" 2>&1 &
  pids[part]=$!
}

runs() { kill -0 "${pids[$1]}" 2>/dev/null; }

# A pause in which a signal is heard at once.
pause() {
  sleep "$1" &
  wait $!
}

# until_open NUMBER PORT: waits until the part listens.
until_open() {
  until (: <"/dev/tcp/127.0.0.1/$2") 2>/dev/null && runs "$1"; do
    runs "$1" || fail "${names[$1]} does not start:"$'\n'"$(tail -n 5 "$directory/$1.log")"
    pause 0.1
  done
}

# until_ready NUMBER: waits until the server has built its book and says where it is.
until_ready() {
  until grep -q '^site: http' "$directory/$1.log"; do
    runs "$1" || fail "${names[$1]} does not start:"$'\n'"$(tail -n 5 "$directory/$1.log")"
    pause 0.1
  done
}

echo "Each server builds the book before it listens, which takes some seconds."
start 0
until_open 0 "$nats_port"
for part in 1 2 3; do start "$part"; done
for part in 1 2 3; do until_ready "$part"; done
start 4
until_open 4 "$proxy_port"

say() {
  printf '%-12s process %-8s %s\n' "${names[$1]}" "${pids[$1]}" "$2"
}
echo "Three servers, one log: http://127.0.0.1:$proxy_port/"
echo
say 0 "nats://127.0.0.1:$nats_port"
for part in 1 2 3; do say "$part" "http://127.0.0.1:${server_ports[part - 1]}/"; done
say 4 "http://127.0.0.1:$proxy_port/"
echo
echo "Press Start in a chapter, then kill what you like: kill -9 ${pids[2]}"
echo "It starts again after a second. Ctrl-C ends all."

# Bash itself would say of each that it was killed, with the whole of its command.
while true; do
  pause 1
  for part in "${!pids[@]}"; do
    if ! runs "$part"; then
      start "$part"
      echo "${names[part]} has ended, and starts again as process ${pids[part]}"
    fi
  done
done 2>/dev/null
