"""A process that is not of the mesh and found its sockets: sends them what would harm, and prints how they answer."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc

from mesh.token import metadata
from mesh.v1.replica_pb2 import SessionRequest


class _Harm:
    """Its pickle makes a file where it is decoded."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self._path,)


def main() -> None:
    """``stranger.py <socket> <method of gRPC> <gRPC method to call in the replica> <path> [token]``."""
    socket, rpc, method, path, *token = sys.argv[1:]
    harm = SessionRequest(method_names=[method], open_ids=[1], open_payloads=[pickle.dumps(((_Harm(path),), {}))])
    harm.open_request_ids.append("harm")
    answers = [_answer(socket, rpc, body, metadata(token[0]) if token else ()) for body in (harm, None)]
    print(json.dumps(answers))


def _answer(socket: str, rpc: str, message: SessionRequest | None, meta: tuple[tuple[str, str], ...]) -> str:
    """The status code of a stream that begins with a message, or with bytes that are none."""
    body = b"\\xff\\xff\\xff" if message is None else message.SerializeToString()
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        call = channel.stream_stream(rpc)(_once(body), metadata=meta, timeout=20)
        try:
            list(call)
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


def _once(body: bytes) -> Iterator[bytes]:
    yield body


if __name__ == "__main__":
    assert Path(sys.argv[1]).is_socket()
    main()
