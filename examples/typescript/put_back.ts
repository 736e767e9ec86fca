// Puts a release back, waits for the outcome, and tells what happens meanwhile.
//
//     npx tsx put_back.ts 127.0.0.1:50051 default.prod.shop 1
//
// It goes on where it was when the service is restarted: the operation does not depend on this
// process, and the stream resumes by token.

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";

interface Operation {
  operationId: string;
  state: string;
}
interface Accepted {
  operation: Operation;
  resumeToken: string;
}
interface StreamResponse {
  item: "event" | "caughtUp" | "heartbeat";
  event?: { sequence: string; change: string };
  resumeToken: string;
}
interface StreamRequest {
  releaseId: string;
  resumeToken: string;
  endAfterOperationId: string;
}
type Answer<T> = (error: grpc.ServiceError | null, answer: T) => void;
interface RollbackService extends grpc.Client {
  Rollback(request: object, options: grpc.CallOptions, answer: Answer<Accepted>): void;
  GetOperation(request: object, options: grpc.CallOptions, answer: Answer<{ operation: Operation }>): void;
  StreamHistory(request: StreamRequest): grpc.ClientReadableStream<StreamResponse>;
}

const PROTOS = process.env.PROTOS ?? fileURLToPath(new URL("../../protos", import.meta.url));
const COME_AGAIN = [grpc.status.UNAVAILABLE, grpc.status.DEADLINE_EXCEEDED, grpc.status.CANCELLED];
const SILENCE = 45_000; // milliseconds without even a heartbeat, after which a stream is cut, and opened anew
const PATIENCE = 120_000; // milliseconds without any answer, after which this client gives up

function connect(address: string): RollbackService {
  const definition = loader.loadSync("helm_rollback/v1/rollback_service.proto", {
    includeDirs: [PROTOS],
    enums: String,
    longs: String,
    oneofs: true,
  });
  const loaded = grpc.loadPackageDefinition(definition) as any;
  return new loaded.helm_rollback.v1.RollbackService(address, grpc.credentials.createInsecure());
}

// The answer, however often the service has to be asked. A call says what it heard, which renews the patience.
async function againWhileAway<T>(call: (heard: () => void) => Promise<T>): Promise<T> {
  let giveUp = Date.now() + PATIENCE;
  const heard = () => {
    giveUp = Date.now() + PATIENCE;
  };
  for (;;) {
    try {
      return await call(heard);
    } catch (error) {
      if (!COME_AGAIN.includes((error as grpc.ServiceError).code) || Date.now() > giveUp) throw error;
      await pause(200);
    }
  }
}

function answered<T>(start: (answer: Answer<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => start((error, answer) => (error ? reject(error) : resolve(answer))));
}

const soon = () => ({ deadline: Date.now() + 10_000 });

// Print each event once: the request's token moves on with what was heard.
async function tellEvents(service: RollbackService, request: StreamRequest, heard: () => void): Promise<void> {
  const stream = service.StreamHistory(request);
  const silence = setTimeout(() => stream.cancel(), SILENCE);
  try {
    for await (const response of stream as AsyncIterable<StreamResponse>) {
      silence.refresh();
      heard();
      request.resumeToken = response.resumeToken;
      if (response.item === "event") console.log(`${response.event!.sequence} ${response.event!.change}`);
    }
  } finally {
    clearTimeout(silence);
  }
}

async function putBack(service: RollbackService, releaseId: string, targetRevision: number): Promise<Operation> {
  const requestId = randomUUID(); // asked again under this id, it is still one rollback
  const accepted = await againWhileAway(() =>
    answered<Accepted>((answer) =>
      service.Rollback({ releaseId, targetRevision, requestId, reason: "put back by an example" }, soon(), answer),
    ),
  );
  const { operationId } = accepted.operation;
  const follow = { releaseId, resumeToken: accepted.resumeToken, endAfterOperationId: operationId };
  await againWhileAway((heard) => tellEvents(service, follow, heard));
  const ended = await againWhileAway(() =>
    answered<{ operation: Operation }>((answer) => service.GetOperation({ operationId }, soon(), answer)),
  );
  return ended.operation;
}

const [address, releaseId, revision] = process.argv.slice(2);
const service = connect(address);
try {
  const operation = await putBack(service, releaseId, Number(revision));
  console.log(`operation ${operation.operationId} ${operation.state}`);
  process.exitCode = operation.state === "SUCCEEDED" ? 0 : 1;
} catch (error) {
  console.error(`refused: ${(error as grpc.ServiceError).details ?? error}`);
  process.exitCode = 1;
} finally {
  service.close();
}
