"""A client in Python that has no mesh installed: grpcio, googleapis-common-protos, and the code generated from protos/.

pip install grpcio grpcio-tools googleapis-common-protos
python -m grpc_tools.protoc -I protos --python_out=. --grpc_python_out=. protos/mesh/v1/predict.proto
python client.py 127.0.0.1:9000
"""

import json
import sys

import grpc
from google.rpc import error_details_pb2, status_pb2

from mesh.v1 import predict_pb2, predict_pb2_grpc

# fmt: off
NINE = [
    0, 0, 4, 10, 13, 6, 0, 0,
    0, 1, 16, 14, 12, 16, 3, 0,
    0, 4, 16, 6, 3, 16, 4, 0,
    0, 0, 12, 16, 16, 16, 5, 0,
    0, 0, 0, 4, 4, 16, 8, 0,
    0, 0, 0, 0, 0, 15, 5, 0,
    0, 0, 5, 7, 7, 16, 4, 0,
    0, 0, 2, 14, 15, 9, 0, 0,
]
# fmt: on


def main(address: str) -> None:
    """One call of each kind; what it prints is what the clients in the other languages print."""
    with grpc.insecure_channel(address) as channel:
        door = predict_pb2_grpc.PredictServiceStub(channel)

        request = predict_pb2.PredictRequest(application="digits", body=json.dumps(NINE).encode())
        answer = json.loads(door.Predict(request, timeout=10).body)
        print(f"digit: {answer['digit']}")

        countdown = predict_pb2.PredictStreamRequest(application="countdown", body=b"3")
        print("stream:", *[json.loads(item.body) for item in door.PredictStream(countdown, timeout=10)])

        try:
            countdown.body = b"1000"
            for _ in door.PredictStream(countdown, timeout=0.5):
                pass
        except grpc.RpcError as error:
            print("deadline:", error.code().name)

        try:
            request.body = b"[1, 2, 3]"
            door.Predict(request, timeout=10)
        except grpc.RpcError as error:
            print(f"error: {error.code().name} {reason(error)}: {error.details()}")


def reason(error: grpc.RpcError) -> str:
    """What the ``ErrorInfo`` of an error says for programs."""
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    found = error_details_pb2.ErrorInfo()
    next(detail for detail in status.details if detail.Is(found.DESCRIPTOR)).Unpack(found)
    return str(found.reason)


if __name__ == "__main__":
    main(sys.argv[1])
