// A client of a mesh in JavaScript: node client.js 127.0.0.1:9000

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "./generated/google/rpc/error_details_pb.js";
import { PredictService } from "./generated/mesh/v1/predict_pb.js";

const NINE = [
  0, 0, 4, 10, 13, 6, 0, 0,
  0, 1, 16, 14, 12, 16, 3, 0,
  0, 4, 16, 6, 3, 16, 4, 0,
  0, 0, 12, 16, 16, 16, 5, 0,
  0, 0, 0, 4, 4, 16, 8, 0,
  0, 0, 0, 0, 0, 15, 5, 0,
  0, 0, 5, 7, 7, 16, 4, 0,
  0, 0, 2, 14, 15, 9, 0, 0,
];

const transport = createGrpcTransport({ baseUrl: `http://${process.argv[2]}` });
const door = createClient(PredictService, transport);

console.log("digit:", (await predict(NINE)).digit);

console.log("stream:", ...(await countdown(3, 10_000)));

try {
  await countdown(1000, 500);
} catch (error) {
  console.log("deadline:", codeName(error));
}

try {
  await predict([1, 2, 3]);
} catch (error) {
  const [info] = error.findDetails(ErrorInfoSchema);
  console.log(`error: ${codeName(error)} ${info.reason}: ${error.rawMessage}`);
}

// One image in, the vote out.
async function predict(image) {
  const answer = await door.predict({ application: "digits", body: encode(image) }, { timeoutMs: 10_000 });
  return decode(answer.body);
}

async function countdown(start, timeoutMs) {
  const numbers = [];
  for await (const item of door.predictStream({ application: "countdown", body: encode(start) }, { timeoutMs })) {
    numbers.push(decode(item.body));
  }
  return numbers;
}

function encode(value) {
  return Buffer.from(JSON.stringify(value));
}

function decode(body) {
  return JSON.parse(Buffer.from(body).toString());
}

// The code's name as the specification of gRPC writes it, such as DEADLINE_EXCEEDED.
function codeName(error) {
  return Code[ConnectError.from(error).code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
