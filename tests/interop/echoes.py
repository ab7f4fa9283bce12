"""Many TCP connections at once: what is sent comes back as it was.

    echoes.py serve PORT                         sends everything back, until it is killed
    echoes.py ask PORT OCTETS SECONDS <LIST      a line for each: NAME FROM TO; prints `ok NAME` or `FAIL NAME WHY`
"""
import asyncio
import hashlib
import sys


async def echo(reader, writer):
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def serve(port):
    server = await asyncio.start_server(echo, "0.0.0.0", port, backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


def content(name, count):
    piece = hashlib.sha512(name.encode()).digest()
    return (piece * (count // len(piece) + 1))[:count]


async def once(name, source, target, port, count):
    reader, writer = await asyncio.wait_for(asyncio.open_connection(target, port, local_addr=(source, 0)), 3)
    sent = content(name, count)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.readexactly(count), 10) == sent
    finally:
        writer.transport.abort()


async def ask(name, source, target, port, count, end, told):
    why = "not tried"
    clock = asyncio.get_running_loop().time
    while clock() < end:
        try:
            if await once(name, source, target, port, count):
                told[name] = ""
                return
            why = "other octets came back"
            break
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
            why = repr(error)
        await asyncio.sleep(0.5)
    told[name] = why


async def ask_all(port, count, seconds):
    end = asyncio.get_running_loop().time() + seconds
    told = {}
    lines = [line.split() for line in sys.stdin]
    await asyncio.gather(*(ask(*line, port, count, end, told) for line in lines))
    for name, why in told.items():
        print(f"FAIL {name} {why}" if why else f"ok {name}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(int(sys.argv[2])))
    elif sys.argv[1:2] == ["ask"]:
        asyncio.run(ask_all(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
    else:
        sys.exit(__doc__)
