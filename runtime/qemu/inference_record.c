#include "inference_record.h"

#include <inttypes.h>
#include <stdlib.h>

static struct counts difference(struct counts totals, struct counts start) {
    return (struct counts){totals.instructions - start.instructions, totals.cycles - start.cycles};
}

static void close_layer(struct inference_record *record, struct counts totals) {
    if (record->layer_count > 0) {
        record->layers[record->layer_count - 1].counts = difference(totals, record->layer_start);
    }
    record->layer_start = totals;
}

static void print_counts(const struct inference_record *record, struct counts counts) {
    fprintf(record->output, "\"instructions\":%" PRIu64 ",\"cycles\":", counts.instructions);
    if (record->has_cycles) {
        fprintf(record->output, "%" PRIu64, counts.cycles);
    } else {
        fputs("null", record->output);
    }
}

/* Names are C identifiers, perhaps with dots: nothing in them needs escaping. */
static void print_named(const struct inference_record *record, const char *separator,
                        const char *name, struct counts counts) {
    fprintf(record->output, "%s{\"function\":\"%s\",", separator, name);
    print_counts(record, counts);
    fputc('}', record->output);
}

static void print_record(const struct inference_record *record, struct counts counts) {
    FILE *output = record->output;
    fputc('{', output);
    print_counts(record, counts);
    fputs(",\"layers\":[", output);
    for (size_t i = 0; i < record->layer_count; i++) {
        const struct layer_counts *layer = &record->layers[i];
        print_named(record, i ? "," : "", layer->function->name, layer->counts);
    }
    fputs("],\"functions\":[", output);
    const char *separator = "";
    for (size_t i = 0; i < record->table.count; i++) {
        const struct function *function = &record->table.functions[i];
        if (function->self.instructions) {
            print_named(record, separator, function->name, function->self);
            separator = ",";
        }
    }
    fputs("]}\n", output);
    fflush(output);
}

void record_begin(struct inference_record *record, struct function *function,
                  struct counts totals) {
    for (size_t i = 0; i <= record->table.count; i++) {
        record->table.functions[i].self = (struct counts){0, 0};
    }
    record->is_open = true;
    record->start = totals;
    record->function_start = totals;
    record->function = function;
    record->layer_count = 0;
}

void record_function(struct inference_record *record, struct function *function,
                     struct counts totals) {
    struct counts spent = difference(totals, record->function_start);
    record->function->self.instructions += spent.instructions;
    record->function->self.cycles += spent.cycles;
    record->function_start = totals;
    record->function = function;
}

void record_layer(struct inference_record *record, const struct function *function,
                  struct counts totals) {
    close_layer(record, totals);
    if (record->layer_count == record->layer_capacity) {
        record->layer_capacity = 2 * record->layer_capacity + 16;
        record->layers = realloc(record->layers, record->layer_capacity * sizeof *record->layers);
        if (!record->layers) {
            abort();
        }
    }
    record->layers[record->layer_count++].function = function;
}

void record_end(struct inference_record *record, struct counts totals) {
    close_layer(record, totals);
    record_function(record, record->function, totals);
    record->is_open = false;
    print_record(record, difference(totals, record->start));
}
