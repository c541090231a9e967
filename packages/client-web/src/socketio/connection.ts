// What arrives on one connection: texts, and the attachments that belong to the text before them. SIO 5 "Packet decoding".

import { Emitter } from "../emitter.js";
import { PacketType, isDataValid, type Packet } from "./packet.js";
import { fromJson } from "./placeholder.js";

/** Attachments of one packet, at the most; more is a fault of the server. */
const attachmentsMax = 10;

/** `type [attachments -] [/namespace ,] [id] [JSON]`; without a comma the namespace is all the rest. */
const pattern = /^([0-6])(?:([1-9]\d*)-)?(?:(\/[^,]*),?)?(0|[1-9]\d*)?(?!\s)([^]*)$/;

/** Decodes packets and raises `decoded` for each. `add` throws at what is none; then the connection is to be closed. */
export class Decoder extends Emitter<{}, {}, { decoded: (packet: Packet) => void }> {
  /** A packet whose attachments are still to come: its head, its JSON, and what has come. */
  private _waiting?: { packet: Packet; json: string; attachments: unknown[] };

  add(chunk: unknown): void {
    if (typeof chunk === "string") {
      if (this._waiting) throw new Error("got plaintext data when reconstructing a packet");
      return this._start(chunk);
    }
    if (!this._waiting) throw new Error("got binary data when not reconstructing a packet");
    this._waiting.attachments.push(chunk);
    this._finish(this._waiting);
  }

  /** Forgets what has come of a packet. */
  destroy(): void {
    this._waiting = undefined;
  }

  private _start(text: string): void {
    const [, type, count, nsp = "/", id, json = ""] = pattern.exec(text) ?? [];
    if (type === undefined) throw new Error(`unknown packet type ${text[0]}`);
    const packet: Packet = { type: Number(type), nsp };
    if (id !== undefined) packet.id = Number(id);
    const isAck = packet.type === PacketType.ACK || packet.type === PacketType.BINARY_ACK;
    const mayHaveId = isAck || packet.type === PacketType.EVENT || packet.type === PacketType.BINARY_EVENT;
    if (id === undefined ? isAck : !mayHaveId || !Number.isSafeInteger(packet.id)) throw new Error("illegal id");
    const isBinary = packet.type === PacketType.BINARY_EVENT || packet.type === PacketType.BINARY_ACK;
    if (isBinary !== (count !== undefined)) throw new Error("Illegal attachments");
    if (isBinary) packet.attachments = Number(count);
    if (packet.attachments! > attachmentsMax) throw new Error("too many attachments");
    this._finish({ packet, json, attachments: [] });
  }

  private _finish(waiting: NonNullable<Decoder["_waiting"]>): void {
    const { packet, json, attachments } = waiting;
    const isWhole = attachments.length === (packet.attachments ?? 0);
    this._waiting = isWhole ? undefined : waiting;
    if (!isWhole) return;
    if (json) packet.data = fromJson(json, attachments);
    if (!isDataValid(packet.type, packet.data)) throw new Error("invalid payload");
    delete packet.attachments;
    this.emitReserved("decoded", packet);
  }
}
