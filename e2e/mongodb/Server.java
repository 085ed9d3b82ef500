import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.MongoServerError;
import de.bwaldvogel.mongo.exception.MongoServerException;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import io.netty.channel.Channel;
import java.util.List;

/** A MongoDB-protocol server as today's drivers expect one: "hello", a newer wire version, error codes. */
public class Server {
  /** What MongoDB 5.0 says. */
  private static final int WIRE_VERSION = 13;

  public static void main(String[] arguments) throws Exception {
    MongoBackend backend = new Backend().version(new MongoVersion() {
      @Override public List<Integer> getVersionArray() { return List.of(5, 0, 0); }
      @Override public int getWireVersion() { return WIRE_VERSION; }
    });
    MongoServer server = new MongoServer(backend);
    server.bind(arguments[0], Integer.parseInt(arguments[1]));
    Thread.currentThread().join();
  }

  private static final class Backend extends MemoryBackend {
    @Override public Document handleCommand(Channel channel, String database, String command, Document query) {
      return command.equals("hello")
          ? hello(super.handleCommand(channel, database, "isMaster", query))
          : super.handleCommand(channel, database, command, query);
    }

    @Override public Document handleMessage(MongoMessage message) {
      if (message.getDocument().containsKey("hello")) {
        Document question = new Document("isMaster", 1);
        return hello(super.handleCommand(message.getChannel(), "admin", "isMaster", question));
      }
      return coded(answer(message));
    }

    private Document answer(MongoMessage message) {
      try {
        return super.handleMessage(message);
      } catch (MongoServerError error) {
        throw error; // has its code
      } catch (MongoServerException error) {
        Document answer = new Document("ok", 0.0);
        answer.put("errmsg", String.valueOf(error.getMessage()));
        return answer;
      }
    }

    private static Document hello(Document answer) {
      answer.put("isWritablePrimary", true);
      return answer;
    }

    /** Some errors lack the code that drivers insist on. */
    private static Document coded(Document answer) {
      if (answer.get("ok") instanceof Number ok && ok.doubleValue() == 0 && !answer.containsKey("code")) {
        boolean missing = "ns not found".equals(answer.get("errmsg"));
        answer.put("code", missing ? 26 : 8);
        answer.put("codeName", missing ? "NamespaceNotFound" : "UnknownError");
      }
      return answer;
    }
  }
}
