/* One record there and back: apt-get install librdkafka-dev; cc try.c -lrdkafka; ./a.out */
#include <librdkafka/rdkafka.h>
#include <stdio.h>

static rd_kafka_t *client(rd_kafka_type_t type) {
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", "@KAFKA@", why, sizeof why);
    if (type == RD_KAFKA_CONSUMER) {
        rd_kafka_conf_set(conf, "group.id", "try-c", why, sizeof why);
        rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", why, sizeof why);
    }
    return rd_kafka_new(type, conf, why, sizeof why);
}

int main(void) {
    rd_kafka_t *producer = client(RD_KAFKA_PRODUCER);
    rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("@TOPIC@"), RD_KAFKA_V_KEY("k1", 2),
        RD_KAFKA_V_VALUE("hello from C", 12), RD_KAFKA_V_END);
    rd_kafka_flush(producer, 5000);
    rd_kafka_destroy(producer);

    rd_kafka_t *consumer = client(RD_KAFKA_CONSUMER);
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, "@TOPIC@", RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(consumer, topics);
    for (;;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 1000);
        if (message == NULL) continue;
        if (message->err)
            fprintf(stderr, "%s\n", rd_kafka_message_errstr(message));
        else
            printf("%lld %.*s\n", (long long)message->offset, (int)message->len,
                (const char *)message->payload);
        rd_kafka_message_destroy(message);
    }
}
