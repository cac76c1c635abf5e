#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool complain(const char *what, const char *subject) {
    fprintf(stderr, "vq_cycle_model: %s: %s\n", what, subject);
    return false;
}

static bool parse_number(const char *text, uint64_t *number) {
    char *rest;
    errno = 0;
    *number = strtoull(text, &rest, 0);
    return errno == 0 && rest != text && *rest == '\0';
}

/* Reads "LOW-HIGH:NAME"; the name stays where it is, in the plugin's arguments. */
static bool parse_function(const char *text, struct function *function) {
    char *rest;
    function->low = strtoull(text, &rest, 0);
    if (*rest != '-') {
        return false;
    }
    function->high = strtoull(rest + 1, &rest, 0);
    function->name = rest + 1;
    return *rest == ':' && function->low < function->high;
}

static int compare_addresses(const void *left, const void *right) {
    uint64_t a = ((const struct function *)left)->low, b = ((const struct function *)right)->low;
    return (a > b) - (a < b);
}

/* Sets the number that `key` names; false if there is none of that name. */
static bool set_number(struct options *options, const char *key, uint64_t number) {
    struct m4_timing *timing = &options->timing;
    if (strcmp(key, "start") == 0) {
        options->begin_address = number;
    } else if (strcmp(key, "stop") == 0) {
        options->end_address = number;
    } else if (strcmp(key, "cycles") == 0) {
        options->counts_cycles = number != 0;
    } else if (strcmp(key, "limit") == 0) {
        options->instruction_limit = number;
    } else if (strcmp(key, "p") == 0) {
        timing->branch_refill_cycles = (uint32_t)number;
    } else if (strcmp(key, "ws") == 0) {
        timing->flash_wait_states = (uint32_t)number;
    } else if (strcmp(key, "div") == 0) {
        timing->division_cycles = (uint32_t)number;
    } else if (strcmp(key, "it") == 0) {
        timing->it_cycles = (uint32_t)number;
    } else {
        return false;
    }
    return true;
}

static bool parse_argument(struct options *options, const char *argument) {
    const char *value = strchr(argument, '=');
    if (!value) {
        return complain("not of the form key=value", argument);
    }
    char key[16];
    snprintf(key, sizeof key, "%.*s", (int)(value - argument), argument);
    value++;
    bool is_layer = strcmp(key, "layer") == 0;
    if (is_layer || strcmp(key, "function") == 0) {
        struct function *function = &options->table.functions[options->table.count++];
        function->is_layer = is_layer;
        return parse_function(value, function) || complain("not LOW-HIGH:NAME", argument);
    }
    if (strcmp(key, "out") == 0) {
        options->output_path = value;
        return true;
    }
    uint64_t number = 0;
    if (!parse_number(value, &number)) {
        return complain("not a number", argument);
    }
    return set_number(options, key, number) || complain("unknown argument", argument);
}

bool options_parse(struct options *options, int argc, char **argv) {
    *options = (struct options){
        .counts_cycles = true,
        .timing = {.branch_refill_cycles = 2, .division_cycles = 7, .it_cycles = 1},
        .table = {.functions = calloc((size_t)argc + 1, sizeof(struct function))},
    };
    if (!options->table.functions) {
        abort();
    }
    for (int i = 0; i < argc; i++) {
        if (!parse_argument(options, argv[i])) {
            return false;
        }
    }
    if (!options->output_path || !options->begin_address || !options->end_address) {
        return complain("missing argument", "out=FILE, start=ADDRESS and stop=ADDRESS are needed");
    }
    qsort(options->table.functions, options->table.count, sizeof(struct function),
          compare_addresses);
    return true;
}

struct function *function_at(const struct function_table *table, uint64_t address) {
    size_t first = 0, last = table->count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (table->functions[middle].low <= address) {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    bool is_inside = first > 0 && address < table->functions[first - 1].high;
    return &table->functions[is_inside ? first - 1 : table->count];
}
