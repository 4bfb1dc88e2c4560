"""Make the practice machines' image when it is missing, and print its reference."""

from dagfleet.lab import engine, machine_image

if __name__ == "__main__":
    print(machine_image.ensure(engine.client()))
