package bench;

/** Reads --name value from the arguments of a job. */
final class Arguments {
    static String text(String[] args, String name, String otherwise) {
        for (int i = 0; i + 1 < args.length; i += 2) {
            if (args[i].equals("--" + name)) {
                return args[i + 1];
            }
        }
        return otherwise;
    }

    static long number(String[] args, String name, long otherwise) {
        return Long.parseLong(text(args, name, Long.toString(otherwise)));
    }

    private Arguments() {}
}
