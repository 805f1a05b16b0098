// What `cargo xtask worker` writes above worker.js, as wasm-bindgen makes it of src/.

/** The compiled servers, relative to the worker's scope. */
declare const MODULE: string;

/** wasm-bindgen's script. Each call gives another instance, which is to be loaded. */
declare function bind(): Bound;

interface Bound {
  (options: { module_or_path: Promise<Response> }): Promise<unknown>;
  Server: new (host: string) => Server;
}

interface Server {
  epoch(): string;
  answer(method: string, target: string, headers: string[], body: Uint8Array): Promise<Answer>;
  /** `seen` is called with what goes over the connection. */
  open(
    host: string,
    target: string,
    origin: string,
    protocol: string,
    seen?: (way: "up" | "down", bytes: Uint8Array) => void,
  ): Promise<Socket>;
}

interface Answer {
  readonly status: number;
  readonly headers: string[];
  next(): Promise<Uint8Array<ArrayBuffer> | undefined>;
  stop(): void;
}

interface Socket {
  readonly protocol: string;
  send(data: string | ArrayBuffer): Promise<void>;
  close(code: number, reason: string): Promise<void>;
  next(): Promise<string | Uint8Array<ArrayBuffer> | [code: number, reason: string]>;
}
