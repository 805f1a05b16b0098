# uWebSockets by socketify, with its topics, as its page "WebSockets and Backpressure" has it
# (https://docs.socketify.dev/websockets-backpressure.html).
#
# Its loop for CPython polls libuv and asyncio in turn, and sleeps only after thousands of idle rounds (socketify/loop.py,
# `_keep_alive`): its CPU time is that of the binding.
from socketify import App, AppListenOptions, CompressOptions, OpCode

app = App()


async def publish(response, request):
    event = await response.get_data()
    app.publish("events", event.getvalue(), OpCode.TEXT)
    response.write_status(204).end_without_body()


app.ws(
    "/events",
    {
        # Off, as it is for the other servers; their defaults have none.
        "compression": CompressOptions.DISABLED,
        "idle_timeout": 120,
        "open": lambda socket: socket.subscribe("events"),
    },
)
app.post("/publish", publish)
app.listen(
    AppListenOptions(port=0, host="127.0.0.1"),
    lambda listening: print(f"socketify: http://127.0.0.1:{listening.port}/", flush=True),
)
app.run()
