"""Runs the cases of the Autobahn test suite with kosoku, and prints the verdicts as JSON, one line.

python3 verdicts.py against ws://HOST:PORT/echo    a server, which must send back what it is sent
python3 verdicts.py as-server                      a client, which finds the server at the port on the first line printed
"""

import asyncio
import json
import os
import sys

import kosoku

# 9: how fast large messages go, up to 16 MiB. 12 and 13: compression (RFC 7692), which is not offered here.
EXCLUDED = ["9.*", "12.*", "13.*"]


async def run(mode, url=None):
    if mode == "against":
        return await kosoku.run_fuzzingclient(url, exclude_cases=EXCLUDED)
    async with kosoku.run_fuzzingserver(exclude_cases=EXCLUDED, port=0) as server:
        print(server.port, flush=True)
        return await server.get_result()


async def main():
    try:
        results = await run(*sys.argv[1:])
    except kosoku.FailureError as failure:
        results = failure.results
    verdicts = [
        {
            "case": result.case_id,
            "behaviour": result.behavior.value,
            "close": result.behavior_close.value,
            "why": f"{result.result} {result.result_close}",
        }
        for result in results
    ]
    print(json.dumps(verdicts), flush=True)
    # Threads of the suite's library may abort the interpreter's own end.
    os._exit(0)


asyncio.run(main())
