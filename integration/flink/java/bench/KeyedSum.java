package bench;

import java.util.Random;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimiterStrategy;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;

/**
 * The keyed sum of flott's benchmarks (integration/bench/jobs/keyedsum) for Flink: numbers become records of a key, a value and a payload
 * of 64 characters from a table; by key, a running sum in keyed state; each new sum is discarded.
 *
 * <p>Arguments: --records n (0: without end, then --rate n a second).
 */
public final class KeyedSum {
    private static final long KEYS = 10_000;

    public static void main(String[] args) throws Exception {
        long records = Arguments.number(args, "records", 0);
        long rate = Arguments.number(args, "rate", 1);
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        DataStream<Long> numbers = records > 0
                ? env.fromSequence(0, records - 1)
                : env.fromSource(
                        new DataGeneratorSource<Long>(n -> n, Long.MAX_VALUE, RateLimiterStrategy.perSecond(rate), Types.LONG),
                        WatermarkStrategy.noWatermarks(),
                        "numbers");
        numbers.map(new ToRecord())
                .keyBy(r -> r.f0, Types.LONG)
                .process(new RunningSum())
                .sinkTo(new DiscardingSink<>());
        env.execute("keyed sum");
    }

    /** Makes the record of a number. With object reuse on, the one instance is serialised before the next number comes. */
    private static final class ToRecord extends RichMapFunction<Long, Tuple3<Long, Long, String>> {
        private transient String[] payloads;
        private transient Tuple3<Long, Long, String> record;

        @Override
        public void open(Configuration unused) {
            payloads = payloads();
            record = new Tuple3<>();
        }

        @Override
        public Tuple3<Long, Long, String> map(Long n) {
            record.f0 = n % KEYS;
            record.f1 = n;
            record.f2 = payloads[(int) (n % payloads.length)];
            return record;
        }
    }

    /** One sum for each key, emitted after each record. */
    private static final class RunningSum extends KeyedProcessFunction<Long, Tuple3<Long, Long, String>, Tuple2<Long, Long>> {
        private transient ValueState<Long> sum;
        private transient Tuple2<Long, Long> out;

        @Override
        public void open(Configuration unused) {
            sum = getRuntimeContext().getState(new ValueStateDescriptor<>("sum", Types.LONG));
            out = new Tuple2<>();
        }

        @Override
        public void processElement(Tuple3<Long, Long, String> in, Context context, Collector<Tuple2<Long, Long>> collector) throws Exception {
            Long before = sum.value();
            long now = (before == null ? 0 : before) + in.f1;
            sum.update(now);
            out.f0 = in.f0;
            out.f1 = now;
            collector.collect(out);
        }
    }

    /** A thousand texts of 64 small letters, the same in every process. */
    static String[] payloads() {
        Random random = new Random(1);
        String[] table = new String[1000];
        for (int i = 0; i < table.length; i++) {
            StringBuilder text = new StringBuilder(64);
            for (int k = 0; k < 64; k++) {
                text.append((char) ('a' + random.nextInt(26)));
            }
            table[i] = text.toString();
        }
        return table;
    }
}
