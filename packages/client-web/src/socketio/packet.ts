// One Socket.IO packet as an object: what a parser encodes and decodes. SIO 5 and 4 "Packet".

export enum PacketType {
  CONNECT,
  DISCONNECT,
  EVENT,
  ACK,
  CONNECT_ERROR,
  BINARY_EVENT,
  BINARY_ACK,
}

export interface Packet {
  type: PacketType;
  nsp: string;
  data?: any;
  id?: number;
  attachments?: number;
  options?: { compress?: boolean };
}

/** Revision of the protocol that is spoken unless `eio: 3` asks for the one before. */
export const protocol = 5;

/** Names that an event cannot have, neither sent nor received. */
export const reservedEvents: readonly unknown[] = [
  "connect",
  "connect_error",
  "disconnect",
  "disconnecting",
  "newListener",
  "removeListener",
];

/** Whether data of this shape may stand in a packet of this type. */
export function isDataValid(type: PacketType, data: unknown): boolean {
  const isObject = typeof data === "object" && data !== null && !Array.isArray(data);
  switch (type) {
    case PacketType.CONNECT:
      return data === undefined || isObject;
    case PacketType.DISCONNECT:
      return data === undefined;
    case PacketType.CONNECT_ERROR:
      return data !== undefined;
    case PacketType.EVENT:
    case PacketType.BINARY_EVENT:
      return Array.isArray(data) && /^(string|number)$/.test(typeof data[0]) && !reservedEvents.includes(data[0]);
    case PacketType.ACK:
    case PacketType.BINARY_ACK:
      return Array.isArray(data);
  }
}
