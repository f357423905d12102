// Replays a corpus without libFuzzer, so that every build checks it: the files named on the command line, one by one.
#ifdef RP_FUZZ_STANDALONE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file || fseek(file, 0, SEEK_END) != 0) { perror(argv[i]); return 1; }
        const long size = ftell(file);
        rewind(file);
        // Exactly as many bytes as the file has, so that a sanitizer sees the first one too many.
        uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
        if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) { perror(argv[i]); return 1; }
        fclose(file);
        LLVMFuzzerTestOneInput(data, (size_t)size);
        free(data);
    }
    printf("%d files replayed\n", argc - 1);
    return argc > 1 ? 0 : 1;
}
#endif
