import io.cloudevents.CloudEvent;
import io.cloudevents.kafka.CloudEventDeserializer;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Prints all CloudEvents of a topic, as Kafka's client and the SDK of CloudEvents read them: a line of JSON each. */
public class Reader {
  static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.nnnnnnnnn").withZone(ZoneOffset.UTC);

  public static void main(String[] args) {
    String brokers = args[0], topic = args[1];
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    try (KafkaConsumer<String, CloudEvent> consumer = new KafkaConsumer<>(
        Map.of("bootstrap.servers", brokers, "auto.offset.reset", "none"), new StringDeserializer(), new CloudEventDeserializer())) {
      List<TopicPartition> partitions = new ArrayList<>();
      for (PartitionInfo p : consumer.partitionsFor(topic)) {
        partitions.add(new TopicPartition(topic, p.partition()));
      }
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
        for (ConsumerRecord<String, CloudEvent> record : consumer.poll(Duration.ofSeconds(1))) {
          out.println(json(record.key(), record.value()));
        }
      }
    }
  }

  static String json(String key, CloudEvent e) {
    Map<String, String> attributes = new TreeMap<>();
    attributes.put("specversion", e.getSpecVersion().toString());
    attributes.put("id", e.getId());
    attributes.put("source", e.getSource().toString());
    attributes.put("type", e.getType());
    attributes.put("subject", e.getSubject());
    attributes.put("time", TIME.format(e.getTime()));
    attributes.put("datacontenttype", e.getDataContentType());
    if (e.getDataSchema() != null) {
      attributes.put("dataschema", e.getDataSchema().toString());
    }
    Map<String, String> extensions = new TreeMap<>();
    for (String name : e.getExtensionNames()) {
      extensions.put(name, e.getExtension(name).toString());
    }
    byte[] data = e.getData() == null ? new byte[0] : e.getData().toBytes();
    return "{\"key\":" + quote(key) + ",\"attributes\":" + json(attributes) + ",\"extensions\":" + json(extensions)
        + ",\"data\":" + quote(Base64.getEncoder().encodeToString(data)) + "}";
  }

  static String json(Map<String, String> map) {
    List<String> fields = new ArrayList<>();
    map.forEach((name, value) -> fields.add(quote(name) + ":" + quote(value)));
    return "{" + String.join(",", fields) + "}";
  }

  static String quote(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') {
        quoted.append('\\').append(c);
      } else if (c < ' ') {
        quoted.append(String.format("\\u%04x", (int) c));
      } else {
        quoted.append(c);
      }
    }
    return quoted.append('"').toString();
  }
}
