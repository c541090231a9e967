#!/usr/bin/env python3
"""A well-behaved client beside the hostile ones: it echoes, again and again, and prints when each echo left and how long it took.
usage: bystander.py PORT
A line an echo: `<seconds> <seconds>`, the first on the clock that all processes share. It ends with its standard input."""
import select, sys, time

from wire import Conn, mkframe

PAUSE_S = 0.003
# Who waits longer has lost the connection.
PATIENCE_S = 5


def main():
    connection = connect(int(sys.argv[1]))
    number = 0
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        number += 1
        left = time.monotonic()
        echo(connection, number)
        # Whoever waits for the first one is told of it.
        print(left, time.monotonic() - left, flush=number == 1)


def connect(port):
    connection = Conn(port)
    connection.send(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    if connection.http()[0] != 101:
        sys.exit("the server refuses a well-behaved client")
    connection.send(mkframe({"opcode": 1}, b"40"))
    wait_for(connection, lambda text: text.startswith(b"40"))
    return connection


def echo(connection, number):
    event = b'42["echo",%d]' % number
    connection.send(mkframe({"opcode": 1}, event))
    # Where connections are recovered, its offset is one argument more.
    wait_for(connection, lambda text: text.startswith(event[:-1]))


def wait_for(connection, is_it):
    while True:
        frame = connection.frame(PATIENCE_S)
        if frame is None or frame[0] == 8:
            sys.exit("a well-behaved client lost its connection")
        if frame[1] == b"2":
            connection.send(mkframe({"opcode": 1}, b"3"))
        elif is_it(frame[1]):
            return


if __name__ == "__main__":
    main()
