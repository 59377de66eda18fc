// A client of a mesh in Go. "make clients" generates predictpb from protos/ and runs it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"mesh.example/client/predictpb"
)

var nine = []int{
	0, 0, 4, 10, 13, 6, 0, 0,
	0, 1, 16, 14, 12, 16, 3, 0,
	0, 4, 16, 6, 3, 16, 4, 0,
	0, 0, 12, 16, 16, 16, 5, 0,
	0, 0, 0, 4, 4, 16, 8, 0,
	0, 0, 0, 0, 0, 15, 5, 0,
	0, 0, 5, 7, 7, 16, 4, 0,
	0, 0, 2, 14, 15, 9, 0, 0,
}

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	door := predictpb.NewPredictServiceClient(connection)

	image, _ := json.Marshal(nine)
	answer, err := predict(door, image)
	if err != nil {
		log.Fatal(err)
	}
	var vote struct{ Digit int }
	if err := json.Unmarshal(answer.Body, &vote); err != nil {
		log.Fatal(err)
	}
	fmt.Println("digit:", vote.Digit)

	numbers, err := countdown(door, "3", 10*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("stream:" + numbers)

	_, err = countdown(door, "1000", 500*time.Millisecond)
	fmt.Println("deadline:", codeName(err))

	_, err = predict(door, []byte("[1, 2, 3]"))
	fmt.Printf("error: %s %s: %s\n", codeName(err), reason(err), status.Convert(err).Message())
}

// One image in, the vote as JSON out.
func predict(door predictpb.PredictServiceClient, image []byte) (*predictpb.PredictResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return door.Predict(ctx, &predictpb.PredictRequest{Application: "digits", Body: image})
}

// The items that came within the time, each after a space.
func countdown(door predictpb.PredictServiceClient, start string, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	request := &predictpb.PredictStreamRequest{Application: "countdown", Body: []byte(start)}
	stream, err := door.PredictStream(ctx, request)
	numbers := ""
	for err == nil {
		var item *predictpb.PredictStreamResponse
		if item, err = stream.Recv(); err == nil {
			numbers += " " + string(item.Body)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return numbers, err
}

// What the ErrorInfo of an error says for programs.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.Reason
		}
	}
	return ""
}
