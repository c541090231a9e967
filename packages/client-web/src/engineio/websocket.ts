// One packet a frame. EIO 4 and 3 "WebSocket".

import { platform, type WebSocketLike } from "../platform.js";
import { decodeBytes, decodeText, encodeBytes, encodeText, type Packet } from "./packet.js";
import { Transport } from "./transport.js";

export class WebSocketTransport extends Transport {
  private _socket?: WebSocketLike;

  get name(): string {
    return "websocket";
  }

  protected doOpen(): void {
    try {
      this._socket = platform.webSocket(this.uri("ws"), this.opts);
    } catch (error) {
      // A content security policy, or an address that is none.
      queueMicrotask(() => this.onError("websocket error", error));
      return;
    }
    const socket = this._socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.onOpen();
    socket.onmessage = ({ data }) => {
      if (this.readyState === "closed") return;
      this.onPacket(typeof data === "string" ? decodeText(data, this.version) : decodeBytes(data, this.version));
    };
    socket.onerror = (event) => this.onError("websocket error", event);
    socket.onclose = (context) => {
      if (this.readyState !== "closed") this.onClose({ description: "websocket connection closed", context });
    };
  }

  protected write(packets: readonly Packet[]): void {
    for (const packet of packets) {
      const isText = this.opts.forceBase64 || typeof (packet.data ?? "") === "string";
      try {
        this._socket?.send(isText ? encodeText(packet, this.version) : encodeBytes(packet.data, this.version));
      } catch {
        // It is closing, which `onclose` is about to tell.
      }
    }
    queueMicrotask(() => this.onDrain());
  }

  protected doClose(): void {
    this._socket?.close();
  }
}
