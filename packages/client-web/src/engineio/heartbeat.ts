// Whether the other side is still there.
//
// Revision 4: the server pings; without a ping for both times together the session has ended. Revision 3: this side pings
// each `pingInterval` and waits for the answer for `pingTimeout`.

import { after, type Timer, type TimerOptions } from "../timers.js";
import type { Handshake } from "./handshake.js";
import type { Version } from "./packet.js";

export class Heartbeat {
  private _timer?: Timer;
  /** When the session has ended at the latest, by the wall clock: a timer may come late where a page sleeps. */
  private _deadline = Infinity;

  constructor(
    private readonly _handshake: Handshake,
    private readonly _version: Version,
    private readonly _options: TimerOptions,
    private readonly _ping: () => void,
    private readonly _expire: () => void,
  ) {
    this.beat();
  }

  /** The other side has shown itself: a ping, or the answer to one. */
  beat(): void {
    const { pingInterval, pingTimeout } = this._handshake;
    this._deadline = Date.now() + pingInterval + pingTimeout;
    if (this._version > 3) return this._wait(pingInterval + pingTimeout, this._expire);
    this._wait(pingInterval, () => {
      this._ping();
      this._wait(pingTimeout, this._expire);
    });
  }

  private _wait(delay: number, then: () => void): void {
    clearTimeout(this._timer);
    this._timer = after(delay, this._options, then);
  }

  /** Whether the time is over, though the timer has not fired; then it ends soon. */
  hasExpired(): boolean {
    const expired = Date.now() > this._deadline;
    if (expired) {
      this._deadline = Infinity;
      queueMicrotask(this._expire);
    }
    return expired;
  }

  stop(): void {
    clearTimeout(this._timer);
  }
}
