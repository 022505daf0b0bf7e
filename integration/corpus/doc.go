// Package corpus holds texts for WordCount on real Hadoop: it makes them, counts their words, puts them into HDFS, and reads back what a job
// wrote. The demo and the tests of integration/scenario call it, on their goroutine; Upload starts goroutines of its own and waits for them.
//
// What always holds: a File yields the same bytes each time it is opened, and its words are those of
//
//	export LC_ALL=C; tr -s ' \t\n\v\f\r' '\n' | grep -av '^$' | sort | uniq -c
//
// after decompression. The counting shares no code with the job.
package corpus
