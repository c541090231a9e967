// What differs between browsers and Node: how a request is made, and what a WebSocket is. Browsers and workers have both;
// node.ts puts others in their place.

import type { EngineOptions } from "./engineio/config.js";

/** An HTTP request as polling makes it. A body makes it a POST. */
export interface HttpRequest {
  url: string;
  body: string | undefined;
  options: Partial<EngineOptions>;
  /** Aborts it. */
  signal: AbortSignal;
}

/** The answer to it: bytes where its type says so, as servers of Engine.IO 3 do. */
export interface HttpResponse {
  status: number;
  body: string | ArrayBuffer;
}

/** Whether a body of this `Content-Type` is bytes. */
export const isBytes = (type: string | null | undefined): boolean => /octet-stream/.test(type ?? "");

/** The part of a `WebSocket` that is used. */
export interface WebSocketLike {
  binaryType: string;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  send(data: string | ArrayBuffer | ArrayBufferView): void;
  close(): void;
}

export const platform = {
  /** Resolves to whatever the server answers; rejects if it does not. */
  async request({ url, body, options, signal }: HttpRequest): Promise<HttpResponse> {
    const response = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      body,
      headers: options.extraHeaders,
      credentials: options.withCredentials ? "include" : "same-origin",
      cache: "no-store",
      signal,
    });
    return {
      status: response.status,
      body: await (isBytes(response.headers.get("content-type")) ? response.arrayBuffer() : response.text()),
    };
  },

  /** Bytes as they are handed to the user. */
  bytes: (bytes: ArrayBuffer): ArrayBuffer | Uint8Array => bytes,

  webSocket(url: string, options: Partial<EngineOptions>): WebSocketLike {
    return new WebSocket(url, options.protocols ?? []) as WebSocketLike;
  },
};
