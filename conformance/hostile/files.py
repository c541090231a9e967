"""More clients than the server may open files for: the operation `exhaust`.

`{"op": "exhaust", "n": 2000}`: as many WebSockets as there are files for are served, the others wait in the kernel's queue. Meanwhile the
server's time on a processor is measured; then those who were served leave, and the others must be.
"""
import asyncio, os, re, time

from pool import Client, allow_files

# Nobody has been let in for so long: all files are taken.
SETTLED_S = 2
# So long may it take until all others are: where the kernel's queue was full, it tries again in growing intervals.
RESUMED_S = 60
# For so long the server's time is measured, without and with those who wait.
MEASURED_S = 4


def play(port, step, pid):
    allow_files()
    return asyncio.run(exhaust(port, step["n"], pid))


async def exhaust(port, n, pid):
    quiet = await percent(pid)
    clients = [Client(port) for _ in range(n)]
    waiting = {asyncio.ensure_future(come(client)): client for client in clients}
    served = await let_in(waiting, SETTLED_S)
    busy = await percent(pid)
    for client in served:
        client.stream.close()
    freed, later = time.monotonic(), 0
    while waiting and (more := await let_in(waiting, RESUMED_S, 1)):
        later += len(more)
        for client in more:
            client.stream.close()
    resumed_s = time.monotonic() - freed
    for task, client in waiting.items():
        task.cancel()
        client.stream.close()
    return {"served": len(served), "served_later": later, "never": n - len(served) - later, "resumed_s": round(resumed_s, 1), "cpu_percent": [quiet, busy]}


async def let_in(waiting, settled_s, most=None):
    """Who gets a WebSocket until nobody does for a while, or so many have; they wait no more."""
    served, last = [], time.monotonic()
    while waiting and time.monotonic() - last < settled_s and len(served) < (most or len(waiting) + len(served)):
        done, _ = await asyncio.wait(waiting, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            client, last = waiting.pop(task), time.monotonic()
            if task.result() == 101:
                served.append(client)
    return served


async def come(client):
    await client.open()
    return await client.upgrade()


async def percent(pid):
    """Of one processor, from now on for a while."""
    before = processor_s(pid)
    await asyncio.sleep(MEASURED_S)
    return round((processor_s(pid) - before) / MEASURED_S * 100, 1)


def processor_s(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = re.split(r"\) ", file.read(), maxsplit=1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
