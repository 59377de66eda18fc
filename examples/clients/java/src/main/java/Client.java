import com.google.gson.JsonParser;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import mesh.v1.Predict.PredictRequest;
import mesh.v1.Predict.PredictStreamRequest;
import mesh.v1.PredictServiceGrpc;
import mesh.v1.PredictServiceGrpc.PredictServiceBlockingStub;

/** A client of a mesh in Java. */
public final class Client {
  private static final String NINE =
      "[0, 0, 4, 10, 13, 6, 0, 0,"
          + "0, 1, 16, 14, 12, 16, 3, 0,"
          + "0, 4, 16, 6, 3, 16, 4, 0,"
          + "0, 0, 12, 16, 16, 16, 5, 0,"
          + "0, 0, 0, 4, 4, 16, 8, 0,"
          + "0, 0, 0, 0, 0, 15, 5, 0,"
          + "0, 0, 5, 7, 7, 16, 4, 0,"
          + "0, 0, 2, 14, 15, 9, 0, 0]";

  public static void main(String[] arguments) throws Exception {
    ManagedChannel channel = ManagedChannelBuilder.forTarget(arguments[0]).usePlaintext().build();
    try {
      PredictServiceBlockingStub door = PredictServiceGrpc.newBlockingStub(channel);

      String vote = predict(door, NINE);
      System.out.println("digit: " + JsonParser.parseString(vote).getAsJsonObject().get("digit"));

      System.out.println("stream: " + String.join(" ", countdown(door, "3", 10_000)));

      try {
        countdown(door, "1000", 500);
      } catch (StatusRuntimeException error) {
        System.out.println("deadline: " + error.getStatus().getCode());
      }

      try {
        predict(door, "[1, 2, 3]");
      } catch (StatusRuntimeException error) {
        System.out.println(
            "error: "
                + error.getStatus().getCode()
                + " "
                + reason(error)
                + ": "
                + error.getStatus().getDescription());
      }
    } finally {
      channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  /** One image in, the vote out, both as JSON. */
  private static String predict(PredictServiceBlockingStub door, String image) {
    PredictRequest request =
        PredictRequest.newBuilder()
            .setApplication("digits")
            .setBody(ByteString.copyFromUtf8(image))
            .build();
    return door.withDeadlineAfter(10, TimeUnit.SECONDS).predict(request).getBody().toStringUtf8();
  }

  private static List<String> countdown(
      PredictServiceBlockingStub door, String start, long timeoutMs) {
    PredictStreamRequest request =
        PredictStreamRequest.newBuilder()
            .setApplication("countdown")
            .setBody(ByteString.copyFromUtf8(start))
            .build();
    List<String> numbers = new ArrayList<>();
    door.withDeadlineAfter(timeoutMs, TimeUnit.MILLISECONDS)
        .predictStream(request)
        .forEachRemaining(item -> numbers.add(item.getBody().toStringUtf8()));
    return numbers;
  }

  /** What the ErrorInfo of an error says for programs. */
  private static String reason(StatusRuntimeException error) throws InvalidProtocolBufferException {
    for (com.google.protobuf.Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        return detail.unpack(ErrorInfo.class).getReason();
      }
    }
    return "";
  }
}
