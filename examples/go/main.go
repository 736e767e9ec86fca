// Puts a release back, waits for the outcome, and tells what happens meanwhile.
//
//	go run . 127.0.0.1:50051 default.prod.shop 1
//
// It goes on where it was when the service is restarted: the operation does not depend on this
// process, and the stream resumes by token.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/helm-rollback/helm-rollback/gen/helm_rollback/v1"
)

const (
	// silence is how long a stream may bring not even a heartbeat before it is cut, and opened anew.
	silence = 45 * time.Second
	// patience is how long this client goes on without any answer.
	patience = 2 * time.Minute
)

func main() {
	address, releaseID := os.Args[1], os.Args[2]
	revision, err := strconv.Atoi(os.Args[3])
	if err != nil {
		fail(err)
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fail(err)
	}
	defer connection.Close()
	operation, err := putBack(pb.NewRollbackServiceClient(connection), releaseID, int32(revision))
	if err != nil {
		fail(err)
	}
	fmt.Printf("operation %s %s\n", operation.OperationId, operation.State)
	if operation.State != pb.Operation_SUCCEEDED {
		os.Exit(1)
	}
}

// putBack has the rollback accepted and follows the release until it is over.
func putBack(service pb.RollbackServiceClient, releaseID string, revision int32) (*pb.Operation, error) {
	request := &pb.RollbackRequest{
		ReleaseId:      releaseID,
		TargetRevision: revision,
		RequestId:      newUUID(), // asked again under this id, it is still one rollback
		Reason:         "put back by an example",
	}
	var accepted *pb.RollbackResponse
	err := againWhileAway(func(ctx context.Context, _ func()) (err error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		accepted, err = service.Rollback(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	follow := &pb.StreamHistoryRequest{
		ReleaseId:           releaseID,
		Start:               &pb.StreamHistoryRequest_ResumeToken{ResumeToken: accepted.ResumeToken},
		EndAfterOperationId: accepted.Operation.OperationId,
	}
	err = againWhileAway(func(ctx context.Context, heard func()) error {
		return tellEvents(ctx, service, follow, heard)
	})
	if err != nil {
		return nil, err
	}
	var ended *pb.GetOperationResponse
	err = againWhileAway(func(ctx context.Context, _ func()) (err error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		ended, err = service.GetOperation(ctx, &pb.GetOperationRequest{OperationId: accepted.Operation.OperationId})
		return err
	})
	return ended.GetOperation(), err
}

// tellEvents prints each event once: the request's token moves on with what was heard.
func tellEvents(
	ctx context.Context, service pb.RollbackServiceClient, request *pb.StreamHistoryRequest, heard func(),
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cut := time.AfterFunc(silence, cancel)
	defer cut.Stop()
	stream, err := service.StreamHistory(ctx, request)
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		cut.Reset(silence)
		heard()
		request.Start = &pb.StreamHistoryRequest_ResumeToken{ResumeToken: response.ResumeToken}
		if event := response.GetEvent(); event != nil {
			fmt.Printf("%d %s\n", event.Sequence, changeOf(event))
		}
	}
}

func changeOf(event *pb.HistoryEvent) string {
	switch event.Change.(type) {
	case *pb.HistoryEvent_OperationTransition:
		return "operation_transition"
	case *pb.HistoryEvent_RevisionTransition:
		return "revision_transition"
	default:
		return "other"
	}
}

// againWhileAway calls until the service answers. A call says what it heard, which renews the patience.
func againWhileAway(call func(ctx context.Context, heard func()) error) error {
	giveUp := time.Now().Add(patience)
	heard := func() { giveUp = time.Now().Add(patience) }
	for {
		err := call(context.Background(), heard)
		if !comeAgain(status.Code(err)) || time.Now().After(giveUp) {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func comeAgain(code codes.Code) bool {
	return code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.Canceled
}

// fail says what is wrong in the service's own word; decide by this, not by the message.
func fail(err error) {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			fmt.Fprintf(os.Stderr, "refused: %s: ", info.Reason)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// newUUID makes a random UUID (version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
