//! One record there and back: cargo add rdkafka (builds librdkafka: needs cc, make and zlib)
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", "@KAFKA@");
    let producer: BaseProducer = config.create()?;
    let record = BaseRecord::to("@TOPIC@").key("k1").payload("hello from Rust");
    producer.send(record).map_err(|(error, _)| error)?;
    producer.flush(Duration::from_secs(5))?;

    config.set("group.id", "try-rust").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create()?;
    consumer.subscribe(&["@TOPIC@"])?;
    for message in consumer.iter() {
        let message = message?;
        let value = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
        println!("{} {value}", message.offset());
    }
    Ok(())
}
