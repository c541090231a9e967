// What the server says when it opens a session: the data of the open packet.

export interface Handshake {
  /** The session's id. */
  sid: string;
  /** The transports it may be upgraded to. */
  upgrades: string[];
  /** Milliseconds from one ping to the next. */
  pingInterval: number;
  /** Milliseconds that the answer to a ping may take. */
  pingTimeout: number;
  /** Bytes of one polling body, at the most. Servers before 4.0 do not say. */
  maxPayload?: number;
}

/** `undefined` if the text is no handshake. */
export function parseHandshake(text: string): Handshake | undefined {
  try {
    const handshake: Handshake = JSON.parse(text);
    return typeof handshake.sid === "string" ? handshake : undefined;
  } catch {
    return undefined;
  }
}
