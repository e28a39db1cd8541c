/* The programs of scalar.py in plain C: what careful hand-written code reaches (gcc -O3 -march=native). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int64_t edit_distance(const int64_t *a, int64_t n, const int64_t *b, int64_t m) {
  int64_t w = m + 1, *d = malloc(sizeof *d * (n + 1) * w);
  for (int64_t i = 0; i <= n; i++)
    for (int64_t j = 0; j <= m; j++) d[i * w + j] = i * j == 0 ? i + j : 0;
  for (int64_t i = 1; i <= n; i++)
    for (int64_t j = 1; j <= m; j++) {
      int64_t c = a[i - 1] != b[j - 1], x = d[(i - 1) * w + j] + 1, y = d[i * w + j - 1] + 1;
      int64_t z = d[(i - 1) * w + j - 1] + c;
      x = x < y ? x : y;
      d[i * w + j] = x < z ? x : z;
    }
  int64_t result = d[n * w + m];
  free(d);
  return result;
}

/* The number of distinct words of more than two letters, counted in an open-addressing table. */
int64_t word_count(const char *s, int64_t n) {
  enum { CAPACITY = 1024 };
  struct entry { const char *text; int64_t length, count; uint64_t hash; };
  struct entry *table = calloc(CAPACITY, sizeof *table);
  int64_t distinct = 0;
  for (int64_t i = 0, j; i < n; i = j + 1) {
    uint64_t hash = 1469598103934665603ull;
    for (j = i; j < n && s[j] != ' '; j++) hash = (hash ^ (uint8_t)s[j]) * 1099511628211ull;
    if (j - i <= 2) continue;
    uint64_t at = hash & (CAPACITY - 1);
    while (table[at].text && !(table[at].hash == hash && table[at].length == j - i &&
                               !memcmp(table[at].text, s + i, j - i)))
      at = (at + 1) & (CAPACITY - 1);
    if (!table[at].text) {
      table[at] = (struct entry){s + i, j - i, 0, hash};
      distinct++;
    }
    table[at].count++;
  }
  free(table);
  return distinct;
}

int64_t collatz(int64_t limit) {
  int64_t longest = 0, best = 0;
  for (int64_t start = 1; start < limit; start++) {
    int64_t n = start, steps = 0;
    for (; n != 1; steps++) n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    if (steps > longest) longest = steps, best = start;
  }
  return best;
}

int64_t sieve(int64_t limit) {
  char *prime = malloc(limit + 1);
  memset(prime, 1, limit + 1);
  prime[0] = prime[1] = 0;
  for (int64_t i = 2; i * i <= limit; i++)
    if (prime[i])
      for (int64_t j = i * i; j <= limit; j += i) prime[j] = 0;
  int64_t count = 0;
  for (int64_t i = 0; i <= limit; i++) count += prime[i];
  free(prime);
  return count;
}

static int64_t place(int64_t row, int64_t n, char *columns, char *rising, char *falling) {
  if (row == n) return 1;
  int64_t count = 0;
  for (int64_t column = 0; column < n; column++) {
    int64_t up = row + column, down = row - column + n - 1;
    if (columns[column] || rising[up] || falling[down]) continue;
    columns[column] = rising[up] = falling[down] = 1;
    count += place(row + 1, n, columns, rising, falling);
    columns[column] = rising[up] = falling[down] = 0;
  }
  return count;
}

int64_t queens(int64_t n) {
  char *marks = calloc(5, n);
  int64_t count = place(0, n, marks, marks + n, marks + 3 * n);
  free(marks);
  return count;
}

typedef struct { int64_t *left, *right, length, capacity; } nodes;

static int64_t push(nodes *t, int64_t left, int64_t right) {
  if (t->length == t->capacity) {
    t->capacity = t->capacity * 9 / 8 + 6;
    t->left = realloc(t->left, 8 * t->capacity);
    t->right = realloc(t->right, 8 * t->capacity);
  }
  t->left[t->length] = left;
  t->right[t->length] = right;
  return t->length++;
}

static int64_t grow(int64_t depth, nodes *t) {
  if (depth == 0) return push(t, -1, -1);
  int64_t a = grow(depth - 1, t), b = grow(depth - 1, t);
  return push(t, a, b);
}

static int64_t weigh(int64_t node, const nodes *t) {
  return node < 0 ? 0 : 1 + weigh(t->left[node], t) + weigh(t->right[node], t);
}

int64_t tree(int64_t depth) {
  nodes t = {0};
  int64_t result = weigh(grow(depth, &t), &t);
  free(t.left);
  free(t.right);
  return result;
}

/* The length of the text, built by amortised appending. */
int64_t spell(int64_t n) {
  int64_t length = 0, capacity = 16;
  char *text = malloc(capacity);
  for (int64_t i = 0; i < n; i++) {
    if (length + 3 > capacity) text = realloc(text, capacity *= 2);
    text[length++] = "abcdefghij"[i % 10];
    if (i % 7 == 6) memcpy(text + length, ", ", 2), length += 2;
  }
  free(text);
  return length;
}

int64_t histogram(const int64_t *values, int64_t n) {
  struct entry { int64_t key, count; } *table;
  int64_t capacity = 16, used = 0, most = 0;
  table = calloc(capacity, sizeof *table);
  for (int64_t i = 0; i < n; i++) {
    uint64_t at = (uint64_t)values[i] * 0x9E3779B97F4A7C15ull >> 20 & (capacity - 1);
    while (table[at].count && table[at].key != values[i]) at = (at + 1) & (capacity - 1);
    if (!table[at].count++) {
      table[at].key = values[i];
      if (++used * 2 > capacity) {
        struct entry *old = table;
        table = calloc(capacity * 2, sizeof *table);
        for (int64_t j = 0; j < capacity; j++) {
          if (!old[j].count) continue;
          uint64_t to = (uint64_t)old[j].key * 0x9E3779B97F4A7C15ull >> 20 & (capacity * 2 - 1);
          while (table[to].count) to = (to + 1) & (capacity * 2 - 1);
          table[to] = old[j];
        }
        capacity *= 2;
        free(old);
      }
    }
  }
  for (int64_t i = 0; i < n; i++) {
    uint64_t at = (uint64_t)values[i] * 0x9E3779B97F4A7C15ull >> 20 & (capacity - 1);
    while (table[at].key != values[i] || !table[at].count) at = (at + 1) & (capacity - 1);
    if (table[at].count > most) most = table[at].count;
  }
  free(table);
  return most;
}

int64_t fibonacci(int64_t n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

int64_t rising(const int64_t *a, int64_t n) {
  int64_t *best = malloc(sizeof *best * n), most = 0;
  for (int64_t i = 0; i < n; i++) {
    best[i] = 1;
    for (int64_t j = 0; j < i; j++)
      if (a[j] < a[i] && best[j] + 1 > best[i]) best[i] = best[j] + 1;
    if (best[i] > most) most = best[i];
  }
  free(best);
  return most;
}

int64_t knapsack(const int64_t *weights, const int64_t *values, int64_t n, int64_t capacity) {
  int64_t *best = calloc(capacity + 1, sizeof *best);
  for (int64_t i = 0; i < n; i++)
    for (int64_t c = capacity; c >= weights[i]; c--) {
      int64_t with = best[c - weights[i]] + values[i];
      if (with > best[c]) best[c] = with;
    }
  int64_t result = best[capacity];
  free(best);
  return result;
}

int64_t common(const char *a, int64_t n, const char *b, int64_t m) {
  int64_t w = m + 1, *t = calloc((n + 1) * w, sizeof *t);
  for (int64_t i = 1; i <= n; i++)
    for (int64_t j = 1; j <= m; j++) {
      int64_t up = t[(i - 1) * w + j], left = t[i * w + j - 1];
      t[i * w + j] = a[i - 1] == b[j - 1] ? t[(i - 1) * w + j - 1] + 1 : up > left ? up : left;
    }
  int64_t result = t[n * w + m];
  free(t);
  return result;
}
