package bench;

import java.nio.charset.StandardCharsets;

import org.apache.flink.api.common.functions.RichFlatMapFunction;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * The words of a text and how often each occurs, as flott's examples/wordcount: a word is what stands between the six ASCII white-space
 * bytes, its bytes are kept (every byte is one character of ISO 8859-1), and the output has one line word TAB count for each word.
 *
 * <p>It runs in STREAMING mode. So that only the last count of a word is written, as there, each word has a timer for the end of the input.
 *
 * <p>Arguments: --input file --output directory.
 */
public final class WordCount {
    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        // Of Flink's readers of text the one that reads one file in pieces, by several subtasks.
        env.readTextFile(Arguments.text(args, "input", ""), StandardCharsets.ISO_8859_1.name())
                .flatMap(new Split())
                .keyBy(pair -> pair.f0, Types.STRING)
                .process(new Count())
                .sinkTo(Output.lines(Arguments.text(args, "output", "")));
        env.execute("wordcount");
    }

    /** Emits (word, 1) for each word of a line. */
    private static final class Split extends RichFlatMapFunction<String, Tuple2<String, Integer>> {
        private transient Tuple2<String, Integer> pair;

        @Override
        public void open(Configuration unused) {
            pair = Tuple2.of("", 1);
        }

        @Override
        public void flatMap(String line, Collector<Tuple2<String, Integer>> out) {
            int start = 0;
            for (int i = 0; i <= line.length(); i++) {
                if (i < line.length() && !isSpace(line.charAt(i))) {
                    continue;
                }
                if (i > start) {
                    pair.f0 = line.substring(start, i);
                    out.collect(pair);
                }
                start = i + 1;
            }
        }

        /** Space, tab, line feed, vertical tab, form feed, carriage return. */
        private static boolean isSpace(char c) {
            return c == ' ' || c >= '\t' && c <= '\r';
        }
    }

    /** Counts in keyed state, and emits the count of a word when the input has ended. */
    private static final class Count extends KeyedProcessFunction<String, Tuple2<String, Integer>, String> {
        private transient ValueState<Long> count;

        @Override
        public void open(Configuration unused) {
            count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
        }

        @Override
        public void processElement(Tuple2<String, Integer> pair, Context context, Collector<String> out) throws Exception {
            Long before = count.value();
            if (before == null) {
                context.timerService().registerEventTimeTimer(Long.MAX_VALUE); // the watermark of the end
                before = 0L;
            }
            count.update(before + pair.f1);
        }

        @Override
        public void onTimer(long timestamp, OnTimerContext context, Collector<String> out) throws Exception {
            out.collect(context.getCurrentKey() + "\t" + count.value());
        }
    }
}
