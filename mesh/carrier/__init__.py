"""What carries the bytes of a session between two processes.

A carrier asks its passenger for the next batch whenever it is free to send, and hands in what arrives; nothing waits
for a timer. gRPC is always there; a unix socket does the same for processes of one host at a fraction of the cost.
"""

from mesh.carrier.carrier import LARGEST_BATCH_BYTES, Carrier, Passenger
from mesh.carrier.grpc_stream import GrpcStream
from mesh.carrier.in_process import InProcess
from mesh.carrier.unix_socket import Listener, UnixSocket

__all__ = ["LARGEST_BATCH_BYTES", "Carrier", "GrpcStream", "InProcess", "Listener", "Passenger", "UnixSocket"]
