package bench;

import org.apache.flink.api.common.serialization.SimpleStringEncoder;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.functions.sink.filesystem.bucketassigners.BasePathBucketAssigner;

/** Writes lines, a byte for each character, to files of one directory, which are whole when the job has finished. */
final class Output {
    static FileSink<String> lines(String directory) {
        return FileSink.forRowFormat(new Path(directory), new SimpleStringEncoder<String>("ISO-8859-1"))
                .withBucketAssigner(new BasePathBucketAssigner<>())
                .build();
    }

    private Output() {}
}
