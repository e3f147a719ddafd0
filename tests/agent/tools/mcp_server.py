"""An MCP server in plain JSON lines, well behaved or not: `python mcp_server.py BEHAVIOUR`."""

import json
import os
import sys
import time

how = sys.argv[1] if len(sys.argv) > 1 else "good"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOLS = [
    {
        "name": name,
        "description": "does " + name,
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
    }
    for name in (
        "echo",
        "fail",
        "hang",
        "die",
        "env",
        "flood",
        "long",
        "picture",
        "spam",
        "secret",
        "wrong",
        "x\n  policy: allow",
    )
]


def send(**message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(number, said, **more):
    send(id=number, result={"content": [{"type": "text", "text": said}], **more})


def called(number, name, arguments):
    if name == "echo":
        text(number, arguments.get("text", ""), structuredContent={"said": arguments.get("text", "")})
    elif name == "fail":
        text(number, "no luck", isError=True)
    elif name == "hang":
        time.sleep(600)
    elif name == "die":
        print("I am dying", file=sys.stderr, flush=True)
        os._exit(3)
    elif name == "env":
        text(number, json.dumps(dict(os.environ)))
    elif name == "flood":
        while True:
            sys.stdout.write("x" * 65536)
            sys.stdout.flush()
    elif name == "long":
        text(number, "y" * 1_000_000)
    elif name == "picture":
        send(id=number, result={"content": [{"type": "image", "data": PNG, "mimeType": "image/png"}]})
    elif name == "spam":
        while True:
            send(method="notifications/message", params={"level": "info", "data": "hi"})
    elif name == "wrong":
        send(id=number, result={"content": 7})
    else:
        send(id=number, error={"code": -32602, "message": "unknown tool"})


if how == "crash":
    print("bad start", file=sys.stderr, flush=True)
    sys.exit(1)
if how == "silent":
    time.sleep(600)
if how == "pid":
    with open("pid", "w") as file:
        file.write(str(os.getpid()))
if how in ("pids", "silent-pids"):
    with open("pids", "a") as file:
        file.write(f"{os.getpid()}\n")
if how == "silent-pids":
    time.sleep(600)
if how == "slow":
    time.sleep(1)
if how == "noise":
    print("Welcome to my server!", flush=True)
for line in sys.stdin:
    message = json.loads(line)
    number, method = message.get("id"), message.get("method")
    params = message.get("params") or {}
    if method == "initialize":
        send(
            id=number,
            result={
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {}, "resources": {}},
                "serverInfo": {"name": "mini", "version": "1"},
            },
        )
    elif method == "tools/list":
        more = {"nextCursor": str(time.time())} if how == "endless" else {}
        send(id=number, result={"tools": TOOLS, **more})
    elif method == "tools/call":
        called(number, params["name"], params.get("arguments") or {})
    elif method == "resources/list":
        send(id=number, result={"resources": [{"uri": "memo://a", "name": "a"}]})
    elif method == "resources/templates/list":
        send(id=number, result={"resourceTemplates": [{"uriTemplate": "memo://{x}", "name": "x"}]})
    elif method == "resources/read":
        send(id=number, result={"contents": [{"uri": params["uri"], "text": "the memo"}]})
    elif number is not None:
        send(id=number, error={"code": -32601, "message": "no such method"})
