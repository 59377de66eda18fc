package main

import (
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/status"
)

// The code's name as the specification of gRPC writes it, such as DEADLINE_EXCEEDED.
func codeName(err error) string {
	return code.Code(status.Code(err)).String()
}
