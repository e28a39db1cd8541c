/* Calls programs.words from several threads: texts, lists, dicts, errors.
 *
 * words LIBRARY THREADS CALLS prints what the first calls give, once, and how many were different. */
#include "scriptmode.h"

#include <pthread.h>

static scriptmode_model *model;
static int64_t calls;
static char first[2][4096];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static char *show(char *to, const scriptmode_value *v) {
  int64_t i;
  switch (v->kind) {
    case SCRIPTMODE_NONE: return to + sprintf(to, "None");
    case SCRIPTMODE_BOOL: return to + sprintf(to, v->as.integer ? "True" : "False");
    case SCRIPTMODE_INT: return to + sprintf(to, "%ld", (long)v->as.integer);
    case SCRIPTMODE_FLOAT: return to + sprintf(to, "%g", v->as.real);
    case SCRIPTMODE_STR: return to + sprintf(to, "'%s'", v->as.text);
    case SCRIPTMODE_LIST:
    case SCRIPTMODE_TUPLE:
    case SCRIPTMODE_DICT:
      to += sprintf(to, "(");
      for (i = 0; i < v->n; i++) {
        if (i) to += sprintf(to, ", ");
        to = show(to, &v->as.items[i]);
      }
      return to + sprintf(to, ")");
  }
  return to + sprintf(to, "?");
}

static void *work(void *nothing) {
  int64_t i, failures = 0;
  for (i = 0; i < calls; i++) {
    char text[4096];
    int n = (int)(i % 2) * 5; /* 5: an IndexError inside, which is caught */
    scriptmode_value args[2], result;
    scriptmode_error error;
    args[0] = scriptmode_text_value("gr\xc3\xb6\xc3\x9f" "er a gr\xc3\xb6\xc3\x9f" "er");
    args[1] = scriptmode_int_value(n);
    if (scriptmode_call(model, "words", args, 2, &result, &error) != 0) return (void *)1;
    show(text, &result);
    scriptmode_release(model, &result);
    args[0] = scriptmode_int_value(1);
    if (scriptmode_call(model, "words", args, 2, &result, &error) == 0) return (void *)1;
    free(error);
    pthread_mutex_lock(&lock);
    if (!first[n != 0][0]) strcpy(first[n != 0], text);
    failures += strcmp(first[n != 0], text) != 0;
    pthread_mutex_unlock(&lock);
  }
  (void)nothing;
  return (void *)(intptr_t)failures;
}

int main(int argc, char **argv) {
  pthread_t threads[64];
  int i, many = argc > 2 ? atoi(argv[2]) : 8;
  int64_t failures = 0;
  scriptmode_error error;
  calls = argc > 3 ? atoi(argv[3]) : 100;
  model = scriptmode_open(argv[1], NULL, &error);
  if (!model) {
    fprintf(stderr, "%s\n", error);
    free(error);
    return 2;
  }
  for (i = 0; i < many; i++) pthread_create(&threads[i], NULL, work, NULL);
  for (i = 0; i < many; i++) {
    void *found;
    pthread_join(threads[i], &found);
    failures += (intptr_t)found;
  }
  scriptmode_close(model);
  printf("%s\n%s\n%ld failures\n", first[0], first[1], (long)failures);
  return failures != 0;
}
