import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoCollection;
import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.h2.H2Database;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.backend.memory.MemoryDatabase;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import java.util.List;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * A stand-in for MongoDB: `TestMongo PORT [FILE]`. Prints "ready" once it listens; with a file, what it has answered
 * survives a kill -9.
 */
public class TestMongo {
  public static void main(String[] arguments) {
    MongoBackend backend = arguments.length > 1 ? new Kept(arguments[1]) : new InMemory();
    new MongoServer(backend.version(new Version())).bind("127.0.0.1", Integer.parseInt(arguments[0]));
    System.out.println("ready");
  }

  /** The oldest version that the driver still talks to. */
  static class Version implements MongoVersion {
    public List<Integer> getVersionArray() {
      return List.of(4, 4, 0);
    }

    public int getWireVersion() {
      return 9;
    }
  }

  static class InMemory extends MemoryBackend {
    @Override
    public MemoryDatabase openOrCreateDatabase(String name) {
      return new MemoryDatabase(name, getCursorRegistry()) {
        @Override
        protected Index<Integer> openOrCreateUniqueIndex(
            String collection, String index, List<IndexKey> keys, boolean sparse) {
          return new ById<>(super.openOrCreateUniqueIndex(collection, index, keys, sparse), keys, sparse);
        }
      };
    }
  }

  static class Kept extends H2Backend {
    private final ReadWriteLock whole = new ReentrantReadWriteLock();

    Kept(String file) {
      super(file);
      getMvStore().setAutoCommitDelay(0);
    }

    @Override
    protected MongoDatabase openOrCreateDatabase(String name) {
      return new H2Database(name, getMvStore(), getCursorRegistry()) {
        @Override
        protected Index<Object> openOrCreateUniqueIndex(
            String collection, String index, List<IndexKey> keys, boolean sparse) {
          return new ById<>(super.openOrCreateUniqueIndex(collection, index, keys, sparse), keys, sparse);
        }
      };
    }

    /**
     * By itself it writes once a second; a server asked to journal writes before it answers. What it writes is whole: a
     * document that another connection is just adding is in its collection already, and not yet in the index of it.
     */
    @Override
    public Document handleMessage(MongoMessage message) {
      whole.readLock().lock();
      Document answer;
      try {
        answer = super.handleMessage(message);
      } finally {
        whole.readLock().unlock();
      }
      whole.writeLock().lock();
      try {
        commit();
      } finally {
        whole.writeLock().unlock();
      }
      return answer;
    }
  }

  /**
   * A unique index that also serves a query of more than its key, such as {_id, version}: by itself the stand-in scans
   * the collection for that. Whatever else the query says, it checks on each document found.
   */
  static class ById<P> extends Index<P> {
    private final Index<P> index;

    ById(Index<P> index, List<IndexKey> keys, boolean sparse) {
      super(index.getName(), keys, sparse);
      this.index = index;
    }

    private Document key(Document query) {
      return query.containsKey("_id") && keys().equals(List.of("_id")) ? new Document("_id", query.get("_id")) : query;
    }

    @Override
    public boolean canHandle(Document query) {
      return index.canHandle(key(query));
    }

    @Override
    public Iterable<P> getPositions(Document query) {
      return index.getPositions(key(query));
    }

    @Override
    public P getPosition(Document document) {
      return index.getPosition(document);
    }

    @Override
    public void checkAdd(Document document, MongoCollection<P> collection) {
      index.checkAdd(document, collection);
    }

    @Override
    public void add(Document document, P position, MongoCollection<P> collection) {
      index.add(document, position, collection);
    }

    @Override
    public P remove(Document document) {
      return index.remove(document);
    }

    @Override
    public void checkUpdate(Document before, Document after, MongoCollection<P> collection) {
      index.checkUpdate(before, after, collection);
    }

    @Override
    public void updateInPlace(Document before, Document after, P position, MongoCollection<P> collection) {
      index.updateInPlace(before, after, position, collection);
    }

    @Override
    public long getCount() {
      return index.getCount();
    }

    @Override
    public long getDataSize() {
      return index.getDataSize();
    }

    @Override
    public boolean isUnique() {
      return index.isUnique();
    }

    @Override
    public void drop() {
      index.drop();
    }
  }
}
