import com.sun.management.OperatingSystemMXBean;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.IOUtils;
import org.apache.hadoop.ipc.RPC;
import org.apache.hadoop.yarn.api.ApplicationClientProtocol;
import org.apache.hadoop.yarn.api.protocolrecords.GetClusterMetricsRequest;
import org.apache.hadoop.yarn.client.ClientRMProxy;
import org.apache.hadoop.yarn.conf.YarnConfiguration;

/**
 * Does by Hadoop's own classes what hadoopclient does by ours, and prints the same line of JSON.
 *
 * <pre>
 * HadoopClient copy FROM TO        copies a file (URIs), the way FsShell does, in a JVM that has copied it once before
 * HadoopClient ipc CALLERS CALLS   asks the ResourceManager for the cluster's metrics, as often again for warming up
 * </pre>
 */
public final class HadoopClient {
  private static final OperatingSystemMXBean SYSTEM =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  private interface Work {
    void run() throws Exception;
  }

  public static void main(String[] args) throws Exception {
    switch (args[0]) {
      case "copy":
        copy(new Path(args[1]), new Path(args[2]));
        break;
      case "ipc":
        ipc(Integer.parseInt(args[1]), Long.parseLong(args[2]));
        break;
      default:
        throw new IllegalArgumentException(args[0]);
    }
  }

  private static void copy(Path from, Path to) throws Exception {
    Configuration conf = new YarnConfiguration();
    FileSystem source = from.getFileSystem(conf);
    FileSystem target = to.getFileSystem(conf);
    source.setVerifyChecksum(true);
    target.setWriteChecksum(false);
    Work once = () -> {
      InputStream in = source.open(from);
      OutputStream out = target.create(to, true);
      IOUtils.copyBytes(in, out, conf, true);
    };
    once.run();
    target.delete(to, false);
    measured("bytes", source.getFileStatus(from).getLen(), once);
  }

  private static void ipc(int callers, long calls) throws Exception {
    ApplicationClientProtocol rm =
        ClientRMProxy.createRMProxy(new YarnConfiguration(), ApplicationClientProtocol.class);
    Work round = () -> round(rm, callers, calls);
    round.run();
    measured("calls", calls, round);
    RPC.stopProxy(rm);
  }

  private static void round(ApplicationClientProtocol rm, int callers, long calls) throws Exception {
    AtomicLong left = new AtomicLong(calls);
    AtomicReference<Exception> failed = new AtomicReference<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < callers; i++) {
      Thread t = new Thread(() -> {
        try {
          while (failed.get() == null && left.decrementAndGet() >= 0) {
            rm.getClusterMetrics(GetClusterMetricsRequest.newInstance());
          }
        } catch (Exception e) {
          failed.set(e);
        }
      });
      threads.add(t);
      t.start();
    }
    for (Thread t : threads) {
      t.join();
    }
    if (failed.get() != null) {
      throw failed.get();
    }
  }

  private static void measured(String what, long amount, Work work) throws Exception {
    long begun = System.nanoTime();
    long before = SYSTEM.getProcessCpuTime();
    work.run();
    double cpu = (SYSTEM.getProcessCpuTime() - before) / 1e9;
    double seconds = (System.nanoTime() - begun) / 1e9;
    System.out.println(String.format(Locale.ROOT, "{\"%s\":%d,\"seconds\":%.6f,\"cpu\":%.6f}", what, amount, seconds, cpu));
  }
}
