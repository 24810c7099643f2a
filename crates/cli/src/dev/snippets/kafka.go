// One record there and back: go mod init try; go mod tidy; go run .
package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	client, err := kgo.NewClient(
		kgo.SeedBrokers("@KAFKA@"),
		kgo.ConsumerGroup("try-go"),
		kgo.ConsumeTopics("@TOPIC@"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		panic(err)
	}
	defer client.Close()
	ctx := context.Background()
	record := &kgo.Record{Topic: "@TOPIC@", Key: []byte("k1"), Value: []byte("hello from Go")}
	if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
		panic(err)
	}
	for {
		client.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
			fmt.Println(record.Offset, string(record.Value))
		})
	}
}
