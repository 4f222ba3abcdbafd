import java.io.FileInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

/**
 * Asks by HttpsURLConnection until standard input ends: by GET where the URL is
 * long, so that there are only long records, and else by POST.
 *
 * There is a thread, with a connection of its own, for each three arguments: how
 * it comes to its session, the suite, and the URL. What breaks goes to standard
 * error.
 */
public class Client {
  static volatile boolean over;
  static final AtomicLong requests = new AtomicLong();

  public static void main(String[] args) throws Exception {
    // A new key after 4 KiB, which is a KeyUpdate now and then.
    Security.setProperty("jdk.tls.keyLimits",
        "AES/GCM/NoPadding KeyUpdate 2^12, ChaCha20-Poly1305 KeyUpdate 2^12");
    System.setProperty("http.maxConnections", "1000");
    System.setProperty("sun.net.http.retryPost", "false");
    Certificate certificate;
    try (FileInputStream in = new FileInputStream(args[0])) {
      certificate = CertificateFactory.getInstance("X.509").generateCertificate(in);
    }
    PrivateKey key = readKey(Path.of(args[1]));
    List<Thread> threads = new ArrayList<>();
    for (int i = 3; i < args.length; i += 3) {
      String way = args[i], suite = args[i + 1], url = args[i + 2];
      Thread thread = new Thread(() -> call(certificate, key, args[2], way, suite, url));
      thread.start();
      threads.add(thread);
    }
    while (System.in.read() >= 0) {
    }
    over = true;
    for (Thread thread : threads) {
      thread.join();
    }
    System.out.println(requests + " requests");
    System.exit(0);
  }

  static PrivateKey readKey(Path path) throws Exception {
    String text = Files.readString(path).replaceAll("-----[A-Z ]+-----|\\s", "");
    byte[] der = Base64.getDecoder().decode(text);
    return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(der));
  }

  static SSLSocketFactory factory(Certificate certificate, PrivateKey key, String way, String suite) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setCertificateEntry("authority", certificate);
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    KeyManagerFactory keys = null;
    if (way.equals("mutual")) {
      KeyStore own = KeyStore.getInstance("PKCS12");
      own.load(null, null);
      own.setKeyEntry("client", key, new char[0], new Certificate[] {certificate});
      keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      keys.init(own, new char[0]);
    }
    SSLContext context = SSLContext.getInstance("TLSv1.3");
    context.init(keys == null ? null : keys.getKeyManagers(), trust.getTrustManagers(), null);
    return new OneSuite(context.getSocketFactory(), suite);
  }

  /** Makes sockets that offer one suite. */
  static class OneSuite extends SSLSocketFactory {
    final SSLSocketFactory of;
    final String suite;

    OneSuite(SSLSocketFactory of, String suite) {
      this.of = of;
      this.suite = suite;
    }

    Socket limit(Socket socket) {
      ((SSLSocket) socket).setEnabledProtocols(new String[] {"TLSv1.3"});
      ((SSLSocket) socket).setEnabledCipherSuites(new String[] {suite});
      return socket;
    }

    public String[] getDefaultCipherSuites() {
      return new String[] {suite};
    }

    public String[] getSupportedCipherSuites() {
      return new String[] {suite};
    }

    public Socket createSocket() throws IOException {
      return limit(of.createSocket());
    }

    public Socket createSocket(Socket socket, String host, int port, boolean close) throws IOException {
      return limit(of.createSocket(socket, host, port, close));
    }

    public Socket createSocket(String host, int port) throws IOException {
      return limit(of.createSocket(host, port));
    }

    public Socket createSocket(String host, int port, InetAddress local, int localPort) throws IOException {
      return limit(of.createSocket(host, port, local, localPort));
    }

    public Socket createSocket(InetAddress host, int port) throws IOException {
      return limit(of.createSocket(host, port));
    }

    public Socket createSocket(InetAddress host, int port, InetAddress local, int localPort) throws IOException {
      return limit(of.createSocket(host, port, local, localPort));
    }
  }

  static void ask(SSLSocketFactory factory, String url) throws Exception {
    HttpsURLConnection connection = (HttpsURLConnection) new URL(url).openConnection();
    connection.setSSLSocketFactory(factory);
    String end = " read 0 bytes\n";
    if (url.length() < 500) {
      end = " read 10 bytes\n";
      connection.setRequestMethod("POST");
      connection.setDoOutput(true);
      connection.getOutputStream().write("0123456789".getBytes());
    }
    String text = new String(connection.getInputStream().readAllBytes());
    if (connection.getResponseCode() != 200 || !text.endsWith(end)) {
      throw new Exception(connection.getResponseCode() + " " + text);
    }
  }

  static void call(Certificate certificate, PrivateKey key, String warm, String way, String suite, String url) {
    long count = 0;
    try {
      SSLSocketFactory client = factory(certificate, key, way, suite);
      if (way.equals("resumed")) {
        ask(client, warm); // which closes the connection
      }
      for (; !over; count++) {
        ask(client, url);
        Thread.sleep(ThreadLocalRandom.current().nextInt(20));
      }
    } catch (Throwable e) {
      System.err.println(url + " after " + count + " requests: " + e);
      e.printStackTrace();
      System.exit(1);
    }
    requests.addAndGet(count);
  }
}
