// Runs the gated cell loop of examples/demo.py: main LIBRARY
#include <iostream>

#include "scriptmode.hpp"

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  try {
    scriptmode::Model model(argv[1]);
    for (const std::string &method : model.methods()) std::cout << method << "\n";
    std::vector<float> x(12, 0.5f), h(12, 0.0f);
    scriptmode::Value y = model.call("forward", scriptmode::tensor(x, {3, 4}),
                                     scriptmode::tensor(h, {3, 4}), 100);
    for (int i = 0; i < 4; i++) std::cout << y.data<float>()[i] << " ";
    std::cout << "\n";
    model.call("forward", scriptmode::tensor(x, {3, 4}), 1.5);
  } catch (const scriptmode::Error &error) {
    std::cout << "refused: " << error.what() << std::endl;
  }
}
