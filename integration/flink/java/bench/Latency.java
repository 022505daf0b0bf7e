package bench;

import java.util.concurrent.locks.LockSupport;

import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.source.RichParallelSourceFunction;
import org.apache.flink.util.Collector;

/**
 * How long records take from where they are made to the operator behind keyBy, as flott's integration/bench/jobs/latency with -output: the
 * output has a line "microseconds TAB records" for each time that occurred, of each subtask. System.nanoTime is one clock for all
 * processes of a Linux machine.
 *
 * <p>Arguments: --records n --rate n (a second, of all subtasks together) --warmup n (records that do not count) --output directory.
 */
public final class Latency {
    private static final long KEYS = 10_000;
    /** Longer ones count as this, in microseconds. */
    private static final int LONGEST = 1_000_000;

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.addSource(new Paced(Arguments.number(args, "records", 70_000), Arguments.number(args, "rate", 10_000)), "paced",
                        Types.TUPLE(Types.LONG, Types.LONG, Types.LONG, Types.STRING))
                .keyBy(r -> r.f1, Types.LONG)
                .process(new Measure(Arguments.number(args, "warmup", 10_000)))
                .sinkTo(Output.lines(Arguments.text(args, "output", "")));
        env.execute("latency");
    }

    /** Records of number, key, time of making, and a payload of 64 characters, each when it is due. */
    @SuppressWarnings("deprecation") // a thread that sleeps until a record is due is the least that a source can cost
    private static final class Paced extends RichParallelSourceFunction<Tuple4<Long, Long, Long, String>> {
        private final long records;
        private final long rate;
        private volatile boolean running = true;

        Paced(long records, long rate) {
            this.records = records;
            this.rate = rate;
        }

        @Override
        public void run(SourceContext<Tuple4<Long, Long, Long, String>> out) {
            int step = getRuntimeContext().getNumberOfParallelSubtasks();
            String payload = KeyedSum.payloads()[0];
            Tuple4<Long, Long, Long, String> record = new Tuple4<>();
            long begin = System.nanoTime();
            for (long n = getRuntimeContext().getIndexOfThisSubtask(); n < records && running; n += step) {
                long due = begin + n * 1_000_000_000L / rate;
                for (long wait; (wait = due - System.nanoTime()) > 0; ) {
                    LockSupport.parkNanos(wait);
                }
                synchronized (out.getCheckpointLock()) {
                    record.f0 = n;
                    record.f1 = n % KEYS;
                    record.f2 = System.nanoTime();
                    record.f3 = payload;
                    out.collect(record);
                }
            }
        }

        @Override
        public void cancel() {
            running = false;
        }
    }

    /** Counts records by time, and emits the counts when the input has ended. */
    private static final class Measure extends KeyedProcessFunction<Long, Tuple4<Long, Long, Long, String>, String> {
        private final long warmup;
        private transient long[] counts;
        private transient boolean armed;

        Measure(long warmup) {
            this.warmup = warmup;
        }

        @Override
        public void open(Configuration unused) {
            counts = new long[LONGEST + 1];
        }

        @Override
        public void processElement(Tuple4<Long, Long, Long, String> r, Context context, Collector<String> out) {
            long micros = (System.nanoTime() - r.f2) / 1000;
            if (r.f0 >= warmup) {
                counts[(int) Math.min(micros, LONGEST)]++;
            }
            if (!armed) {
                armed = true;
                context.timerService().registerEventTimeTimer(Long.MAX_VALUE); // the watermark of the end
            }
        }

        @Override
        public void onTimer(long timestamp, OnTimerContext context, Collector<String> out) {
            for (int i = 0; i < counts.length; i++) {
                if (counts[i] > 0) {
                    out.collect(i + "\t" + counts[i]);
                }
            }
        }
    }
}
