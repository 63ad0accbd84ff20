// grpc_xds_client calls a service by an xds:/// name with grpc-go's own xDS client, which finds its control plane by
// $GRPC_XDS_BOOTSTRAP_CONFIG. For each number on standard input it makes so many calls, one after another, and prints
// how often each answer came, as a JSON object; a call that failed counts under its status code.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	_ "google.golang.org/grpc/xds"
)

const callLimit = 20 * time.Second

// bytesCodec hands messages on as they are.
type bytesCodec struct{}

func (bytesCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil }

func (bytesCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (bytesCodec) Name() string { return "bytes" }

func fail(err error) {
	fmt.Fprintln(os.Stderr, "grpc_xds_client:", err)
	os.Exit(1)
}

func ask(connection *grpc.ClientConn, method string) string {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	var answer []byte
	if err := connection.Invoke(ctx, method, []byte{}, &answer, grpc.WaitForReady(true)); err != nil {
		return status.Code(err).String()
	}
	return string(answer)
}

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: grpc_xds_client TARGET METHOD"))
	}
	connection, err := grpc.NewClient("xds:///"+os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(bytesCodec{})))
	if err != nil {
		fail(err)
	}
	defer connection.Close()
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		calls, err := strconv.Atoi(input.Text())
		if err != nil {
			fail(err)
		}
		counts := map[string]int{}
		for i := 0; i < calls; i++ {
			counts[ask(connection, os.Args[2])]++
		}
		line, err := json.Marshal(counts)
		if err != nil {
			fail(err)
		}
		fmt.Println(string(line))
	}
}
