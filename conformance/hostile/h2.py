"""HTTP/2 against a server that takes it without being asked, as axum's does: the operation `h2`. RFC 9113.

`{"op": "h2", "case": "rapid-reset", "n": 100000}`: what the client sends until the server ends the connection, `n` times at the most.
"""
import struct

from wire import Conn

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY, CONTINUATION = 0, 1, 3, 4, 7, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL = 8
# So many frames a write, and between two looks at what the server says.
BATCH = 100
# What a server that closes may still have to say.
PATIENCE_S = 5


def play(port, step, sid):
    """How the server ended it, and after how many frames at the most."""
    connection = Conn(port, PATIENCE_S)
    connection.send(PREFACE + frame(SETTINGS, 0, 0, b""))
    frames = CASES[step["case"]](sid)
    sent, goaway = 0, None
    while sent < step["n"] and goaway is None and not connection.eof:
        count = min(BATCH, step["n"] - sent)
        connection.send(b"".join(next(frames) for _ in range(count)))
        sent += count
        goaway = look(connection, 0.0001)
    if goaway is None:
        goaway = look(connection, PATIENCE_S)
    # Behind GOAWAY the server lets go of the connection.
    while not connection.eof and connection.more(PATIENCE_S):
        pass
    connection.close()
    return {"goaway": goaway, "frames": sent, "conn": "closed" if connection.eof else "open"}


def look(connection, timeout):
    """The error code of a GOAWAY, if there is one by then."""
    while connection.more(timeout):
        while len(connection.b) >= 9:
            length, kind, flags = int.from_bytes(connection.b[:3], "big"), connection.b[3], connection.b[4]
            if len(connection.b) < 9 + length:
                break
            payload, connection.b = connection.b[9 : 9 + length], connection.b[9 + length :]
            if kind == GOAWAY:
                return struct.unpack(">I", payload[4:8])[0]
            if kind == SETTINGS and not flags & ACK:
                connection.send(frame(SETTINGS, ACK, 0, b""))
    return None


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def head(method, path):
    """HPACK without its tables of names: RFC 7541 6.1, 6.2.2."""
    method = {"GET": b"\x82", "POST": b"\x83"}[method]
    return method + b"\x86\x01\x01x\x04" + bytes([len(path)]) + path.encode()


def rapid_reset(_):
    """Each request is taken back at once. CVE-2023-44487."""
    stream = 1
    while True:
        request = frame(HEADERS, END_HEADERS | END_STREAM, stream, head("GET", "/hello"))
        yield request + frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))
        stream += 2


def continuation(_):
    """A head without an end. RUSTSEC-2024-0332."""
    yield frame(HEADERS, END_STREAM, 1, head("GET", "/hello"))
    # A literal field that is not to be indexed: x: xxx…
    field = b"\x10\x01x\x7e" + b"x" * 126
    while True:
        yield frame(CONTINUATION, 0, 1, field * 8)


def empty_continuation(_):
    """A head without an end, and without anything in it."""
    yield frame(HEADERS, END_STREAM, 1, head("GET", "/hello"))
    while True:
        yield frame(CONTINUATION, 0, 1, b"")


def empty_data(sid):
    """A body that neither grows nor ends."""
    yield frame(HEADERS, END_HEADERS, 1, head("POST", f"/socket.io/?EIO=4&transport=polling&sid={sid}"))
    while True:
        yield frame(DATA, 0, 1, b"")


CASES = {"rapid-reset": rapid_reset, "continuation": continuation, "empty-continuation": empty_continuation, "empty-data": empty_data}
