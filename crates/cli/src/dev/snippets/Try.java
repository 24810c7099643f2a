// One record there and back. Into lib/ go the jars of org.apache.kafka:kafka-clients and
// org.slf4j:slf4j-api; then, with Java 11 or later: java -cp 'lib/*' Try.java
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Try {
    public static void main(String[] args) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", "@KAFKA@");
        var text = new StringSerializer();
        try (var producer = new KafkaProducer<>(config, text, text)) {
            producer.send(new ProducerRecord<>("@TOPIC@", "k1", "hello from Java")).get();
        }
        config = Map.of("bootstrap.servers", "@KAFKA@", "group.id", "try-java",
            "auto.offset.reset", "earliest");
        var read = new StringDeserializer();
        try (var consumer = new KafkaConsumer<>(config, read, read)) {
            consumer.subscribe(List.of("@TOPIC@"));
            while (true) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    System.out.println(record.offset() + " " + record.value());
                }
            }
        }
    }
}
