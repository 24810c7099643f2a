"""One record there and back: pip install confluent-kafka"""
from confluent_kafka import Consumer, Producer

producer = Producer({"bootstrap.servers": "@KAFKA@"})
producer.produce("@TOPIC@", key="k1", value="hello from Python")
producer.flush()

consumer = Consumer({
    "bootstrap.servers": "@KAFKA@",
    "group.id": "try-python",
    "auto.offset.reset": "earliest",
})
consumer.subscribe(["@TOPIC@"])
while True:
    message = consumer.poll(1.0)
    if message is None:
        continue
    if message.error():
        raise SystemExit(message.error())
    print(message.offset(), message.key(), message.value())
