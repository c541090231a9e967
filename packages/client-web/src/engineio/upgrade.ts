// The move from polling to WebSocket: a probe beside the session, then polling pauses, then the probe takes over. EIO "Upgrade".

import type { Packet } from "./packet.js";
import type { Transport } from "./transport.js";

/** What a probe may ask of its session. */
export interface Upgrading {
  /** The probe was answered: polling should pause, then `take over` is called. */
  onProbed(transport: Transport, takeOver: () => void): void;
  onUpgraded(transport: Transport): void;
  onUpgradeError(error: Error): void;
}

/** Probes with this transport. Returns what gives it up; once it has taken over that does nothing. */
export function probe(transport: Transport, session: Upgrading): () => void {
  let isOver = false;
  const end = () => {
    isOver = true;
    transport.off();
  };
  const fail = (why: unknown) => {
    if (isOver) return;
    end();
    transport.close();
    const error: Error & { transport?: string } = new Error(`probe error: ${(why as Error | undefined)?.message ?? "closed"}`);
    error.transport = transport.name;
    session.onUpgradeError(error);
  };
  transport.on("open", () => transport.send([{ type: "ping", data: "probe" }]));
  transport.once("packet", ({ type, data }: Packet) => {
    if (type !== "pong" || data !== "probe") return fail(new Error("no answer"));
    session.onProbed(transport, () => {
      if (isOver) return;
      end();
      session.onUpgraded(transport);
    });
  });
  transport.on("error", fail);
  transport.on("close", fail);
  transport.open();
  return () => {
    if (isOver) return;
    end();
    transport.close();
  };
}
