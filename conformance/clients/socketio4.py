"""python-socketio 4 behind the interface of 5, as far as agent.py uses it.

It has neither a handler for all events, nor `auth`, nor an id for a namespace other than "/".
"""

from urllib.parse import urlencode

import socketio


def namespaces_with_query(namespaces, auth):
    """What later generations send as `auth` is the namespace's query here."""
    return [f"{namespace}?{urlencode(auth)}" if auth and namespace != "/" else namespace for namespace in namespaces]


def handler_of(handlers, event, namespace, args):
    """The handler of this event, else the one for all, and its arguments."""
    those = handlers.get(namespace, {})
    if event in those:
        return those[event], args
    return those.get("*"), (event, *args)


class AsyncClient(socketio.AsyncClient):
    def get_sid(self, namespace):
        return self.sid if namespace == "/" else None

    # Reconnecting calls this too, with the path and without what is new in 5.
    async def connect(self, url, headers, transports, namespaces, auth=None, wait=None, socketio_path="socket.io"):
        await super().connect(url, headers, transports, namespaces_with_query(namespaces, auth), socketio_path)

    async def _trigger_event(self, event, namespace, *args):
        handler, arguments = handler_of(self.handlers, event, namespace, args)
        return await handler(*arguments) if handler else None

    async def shutdown(self):
        self._reconnect_abort.set()
        await self.disconnect()


class Client(socketio.Client):
    def get_sid(self, namespace):
        return self.sid if namespace == "/" else None

    def connect(self, url, headers, transports, namespaces, auth=None, wait=None, socketio_path="socket.io"):
        super().connect(url, headers, transports, namespaces_with_query(namespaces, auth), socketio_path)

    def _trigger_event(self, event, namespace, *args):
        handler, arguments = handler_of(self.handlers, event, namespace, args)
        return handler(*arguments) if handler else None

    def shutdown(self):
        self._reconnect_abort.set()
        self.disconnect()
