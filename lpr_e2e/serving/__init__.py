"""Reading at scale: Apache Beam."""
