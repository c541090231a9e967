#!/usr/bin/env python3
"""Connections, as many a second as asked for, each of which says little: the operation `flood`.

`{"op": "flood", "rate": 5000, "s": 60, "do": [{"op": "tcp", "text": "", "rst": true}]}`: with `rst` a client resets its connection at once,
without it when it has an answer. It runs in processes of its own, for one does not come to such rates:
usage: flood.py PORT RATE SECONDS HEX, which prints how many connections there were, and how many of them were made at once, or answered.
"""
import os, socket, struct, subprocess, sys, time

# One of this machine's processors does about so many.
RATE_OF_ONE = 5000
PROCESSES_MAX = 2
# An attempt that takes longer is given up.
PATIENCE_S = 10
# Closing resets it: nothing is left of it on this side.
RESET = struct.pack("ii", 1, 0)


def play(port, step):
    """What all of them did, and how fast they came."""
    text = "" if step["do"][0].get("rst") else step["do"][0]["text"]
    count = min(PROCESSES_MAX, -(-step["rate"] // RATE_OF_ONE))
    arguments = [sys.executable, os.path.abspath(__file__), str(port), str(step["rate"] / count), str(step["s"]), text.encode().hex()]
    processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    told = [list(map(int, process.communicate()[0].split())) for process in processes]
    connections, successes = map(sum, zip(*told))
    return {"connections": connections, "failed_percent": round(100 * (1 - successes / connections), 2), "rate": round(connections / step["s"])}


def main():
    # The processor is to be left to the server and to whom it serves.
    os.nice(10)
    port, rate, seconds, data = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), bytes.fromhex((sys.argv + [""])[4])
    attempt = ask if data else reset
    connections = successes = 0
    started = time.monotonic()
    while (now := time.monotonic()) < started + seconds:
        if connections >= (now - started) * rate:
            time.sleep(0.001)
            continue
        connections += 1
        successes += attempt(("127.0.0.1", port), data)
    print(connections, successes)


def ask(address, data):
    """Whether there was an answer."""
    with socket.socket() as stream:
        stream.settimeout(PATIENCE_S)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        try:
            stream.connect(address)
            stream.sendall(data)
            return len(stream.recv(4096)) > 0
        except OSError:
            return False


def reset(address, _):
    """Whether it was connected at once, as it is on loopback while the kernel's queue has room."""
    with socket.socket() as stream:
        stream.setblocking(False)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        stream.connect_ex(address)
        try:
            stream.getpeername()
            return True
        except OSError:
            return False


if __name__ == "__main__":
    main()
